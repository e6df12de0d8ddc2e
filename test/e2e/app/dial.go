// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"time"
)

const dialLimit = 2 * time.Second

// dial tries all addresses at once and prints of each whether it is open.
func dial(addresses []string) error {
	results := make([]string, len(addresses))
	done := make(chan struct{})
	for i, address := range addresses {
		go func() {
			defer func() { done <- struct{}{} }()
			results[i] = "closed"
			if c, err := net.DialTimeout("tcp", address, dialLimit); err == nil {
				c.Close()
				results[i] = "open"
			}
		}()
	}
	for range addresses {
		<-done
	}
	for i, address := range addresses {
		fmt.Println(address, results[i])
	}
	return nil
}
