// Package deviceplugin offers character devices of the node to pods as an extended
// resource through the kubelet's device plugin API (v1beta1): the real /dev/nvidia*
// where there is a GPU, harmless ones (/dev/null) where there is none. Scheduling and
// allocation are the kubelet's own in both cases. A file named <health-dir>/<id> makes
// device <id> unhealthy for as long as it is there.
package deviceplugin

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"k8s.io/klog/v2"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

type plugin struct {
	api.UnimplementedDevicePluginServer
	count     int
	paths     [][]string
	healthDir string
}

func (p *plugin) devices() []*api.Device {
	devices := make([]*api.Device, p.count)
	for i := range devices {
		id, health := fmt.Sprintf("gpu-%d", i), api.Healthy
		if _, err := os.Stat(filepath.Join(p.healthDir, id)); err == nil {
			health = api.Unhealthy
		}
		devices[i] = &api.Device{ID: id, Health: health}
	}
	return devices
}

func (p *plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

func (p *plugin) ListAndWatch(_ *api.Empty, stream api.DevicePlugin_ListAndWatchServer) error {
	sent := ""
	for {
		devices := p.devices()
		if now := fmt.Sprint(devices); now != sent {
			if err := stream.Send(&api.ListAndWatchResponse{Devices: devices}); err != nil {
				return err
			}
			sent = now
		}
		select {
		case <-stream.Context().Done():
			return nil
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (p *plugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	response := &api.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		allocation := &api.ContainerAllocateResponse{
			Envs: map[string]string{"NVIDIA_VISIBLE_DEVICES": strings.Join(container.DevicesIds, ",")},
		}
		seen := map[string]bool{}
		for _, id := range container.DevicesIds {
			var index int
			if _, err := fmt.Sscanf(id, "gpu-%d", &index); err != nil || index < 0 || index >= p.count {
				return nil, fmt.Errorf("no device %q", id)
			}
			for _, path := range p.paths[index] {
				if !seen[path] {
					seen[path] = true
					allocation.Devices = append(allocation.Devices, &api.DeviceSpec{
						HostPath: path, ContainerPath: path, Permissions: "rw"})
				}
			}
		}
		response.ContainerResponses = append(response.ContainerResponses, allocation)
	}
	return response, nil
}

// nvidiaDevices gives, for each GPU of the node, the devices that a pod needs for it.
func nvidiaDevices() [][]string {
	var shared []string
	for _, path := range []string{"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"} {
		if _, err := os.Stat(path); err == nil {
			shared = append(shared, path)
		}
	}
	cards, _ := filepath.Glob("/dev/nvidia[0-9]*")
	var all [][]string
	for _, card := range cards {
		all = append(all, append([]string{card}, shared...))
	}
	return all
}

func serve(ctx context.Context, p *plugin, resource, folder string) error {
	endpoint := "splatting-" + strings.ReplaceAll(resource, "/", "-") + ".sock"
	socket := filepath.Join(folder, endpoint)
	_ = os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, p)
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()

	connection, err := grpc.NewClient("unix://"+filepath.Join(folder, "kubelet.sock"),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	_, err = api.NewRegistrationClient(connection).Register(ctx, &api.RegisterRequest{
		Version: api.Version, Endpoint: endpoint, ResourceName: resource,
	})
	if err != nil {
		return fmt.Errorf("registering %s with the kubelet: %w", resource, err)
	}
	klog.InfoS("registered", "resource", resource, "devices", p.count)
	// A restarted kubelet empties its plugin folder: register again when the socket goes.
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
			if _, err := os.Stat(socket); err != nil {
				return fmt.Errorf("the kubelet restarted")
			}
		}
	}
}

// Main runs the plugin until it is told to stop, and gives the exit code.
func Main() int {
	flags := flag.NewFlagSet("device-plugin", flag.ExitOnError)
	resource := flags.String("resource", "nvidia.com/gpu", "name of the extended resource")
	fake := flags.Int("fake", 2, "devices to offer where the node has no NVIDIA GPU")
	folder := flags.String("plugin-dir", api.DevicePluginPath, "the kubelet's plugin folder")
	healthDir := flags.String("health-dir", "", "a file here named as a device makes it unhealthy")
	_ = flags.Parse(os.Args[1:])

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	p := &plugin{paths: nvidiaDevices(), healthDir: *healthDir}
	if len(p.paths) == 0 {
		for i := 0; i < *fake; i++ {
			p.paths = append(p.paths, []string{"/dev/null"})
		}
	}
	p.count = len(p.paths)
	for ctx.Err() == nil {
		if err := serve(ctx, p, *resource, *folder); err != nil {
			klog.ErrorS(err, "trying again in a second")
			time.Sleep(time.Second)
		}
	}
	return 0
}
