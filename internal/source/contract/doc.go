// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package contract stands between a driver and the engine: it holds whatever a
// driver, a plugin or the service behind it hands over against what
// source.Source promises, so that the engine can rely on it. A size that is
// negative or cannot be, an entry beside the one that is the item itself, a text
// without bounds, a body that ends early or does not end, an error without a
// class and a panic each become an error of that call, and never more than that.
//
// It knows no protocol, asks the driver for nothing that it was not asked for,
// and keeps nothing but two numbers per listing. Package transfer wraps every
// source in it, directly around the driver.
package contract
