module github.com/kuda-io/kuda/examples/plugin-sftp

go 1.26.0

toolchain go1.26.11

require (
	github.com/kuda-io/kuda v0.0.0
	github.com/pkg/sftp v1.13.12
	golang.org/x/crypto v0.59.0
)

require (
	connectrpc.com/connect v1.21.1 // indirect
	github.com/google/go-cmp v0.7.0 // indirect
	github.com/klauspost/cpuid/v2 v2.4.0 // indirect
	github.com/kr/fs v0.1.0 // indirect
	github.com/zeebo/xxh3 v1.1.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace github.com/kuda-io/kuda => ../..
