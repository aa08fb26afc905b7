#!/bin/sh
# In the trainer's place: its kernels are one word in one file, which it compiles once it may.
set -u
case $1 in
kernels)
  cache=$4
  until [ -e "$cache/go" ]; do sleep 0.2; done
  mkdir -p "$cache/key"
  echo good >"$cache/key/new" && mv "$cache/key/new" "$cache/key/library" || exit 74
  document='"outcome":"Built","key":"key","architectures":["9.0"],"buildSeconds":90,"cacheBytes":5'
  ;;
*)
  wrote=no
  touch /kernels/key/mine 2>/dev/null && wrote=yes
  if [ "$(cat /kernels/key/library)" = good ]; then
    kernels='"source":"Cache","key":"key","seconds":0.1'
  else
    kernels='"source":"Compiled","seconds":90,"refused":"not what was built"'
  fi
  document='"outcome":"Succeeded","exitCode":0,"reason":"Trained","message":"wrote to the cache: '
  document="$document$wrote\",\"kernels\":{$kernels}"
  ;;
esac
printf '{%s}' "$document" >/dev/termination-log
