// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sourceconfig turns what the gateway says of sources and items into what
// drivers and transfer take: the configuration of a driver, with the files that the
// injector mounted into the runtime, the opened driver, and the request for an item,
// whose key says by which way its bytes come and who asks for them.
//
// It reads no data and decides nothing of what a pod has. The agent opens sources
// through it to deliver, inspect to look at what a delivery would bring.
package sourceconfig
