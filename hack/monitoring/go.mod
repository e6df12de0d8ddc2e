module github.com/kuda-io/kuda/hack/monitoring

go 1.26.0

toolchain go1.26.11

require (
	github.com/google/go-cmp v0.7.0
	github.com/grafana/grafana-foundation-sdk/go v0.0.22
)
