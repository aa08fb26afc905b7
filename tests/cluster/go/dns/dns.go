// Package dns is CoreDNS with the plugins that a cluster's DNS needs, and no others: the
// full set pulls in three clouds' SDKs and takes minutes more to build.
package dns

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

// The order of the chain: template answers what kubernetes is not asked for.
func init() {
	dnsserver.Directives = []string{
		"bind", "health", "ready", "errors", "cache", "kubernetes", "template",
	}
}

// Main serves until it is told to stop, and gives the exit code.
func Main() int {
	coremain.Run()
	return 0
}
