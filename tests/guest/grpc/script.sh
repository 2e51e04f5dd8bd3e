#!/bin/sh
# gRPC probes, asked of a server that others have written: etcd, of which the node has the programs.
. /put/lib.sh
said() { berth get events | grep "$1" | grep -q "$2"; }
restarts_are() { [ "$(column "$1" 4)" = "$2" ]; }
ready_is() { [ "$(column "$1" 2)" = "$2" ]; }

step "gRPC"
drop grpc.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: grpc}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: etcd
    image: berth.test/busybox:1
    command: [/node/bin/etcd, --data-dir, /data, --listen-client-urls, "http://0.0.0.0:2379", --advertise-client-urls, "http://127.0.0.1:2379"]
    env: [{name: ETCD_UNSUPPORTED_ARCH, value: arm64}]
    ports: [{containerPort: 2379}]
    startupProbe: {grpc: {port: 2379}, periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 60}
    livenessProbe: {grpc: {port: 2379}, periodSeconds: 1, timeoutSeconds: 3, failureThreshold: 2}
    volumeMounts:
    - {name: data, mountPath: /data}
    - {name: bin, mountPath: /node/bin, readOnly: true}
    - {name: lib, mountPath: /lib, readOnly: true}
    - {name: lib64, mountPath: /lib64, readOnly: true}
  - name: other
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    readinessProbe: {grpc: {port: 2379, service: shop}, periodSeconds: 1, timeoutSeconds: 5}
  volumes:
  - {name: data, emptyDir: {medium: Memory}}
  - {name: bin, hostPath: {path: /usr/bin}}
  - {name: lib, hostPath: {path: /lib}}
  - {name: lib64, hostPath: {path: /lib64, type: DirectoryOrCreate}}
Y
eventually 60 "it serves" ready_is grpc 1/2
eventually 20 "a service that it does not know" said grpc "Readiness probe failed: error: health rpc probe failed: the server ended the call without a status"
is "no restarts" 0 "$(column grpc 4)"
kill -STOP "$(pidof etcd)"
eventually 30 "one that does not answer is restarted" restarts_are grpc 1
check "why" said grpc "Liveness probe failed: timeout: health rpc did not complete within 3s"
eventually 60 "and serves again" ready_is grpc 1/2
rm $M/grpc.yaml; gone grpc
nothing_left
