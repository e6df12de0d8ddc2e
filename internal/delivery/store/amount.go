// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Amount is a number of bytes, or a share of a file system. It is a flag's value.
type Amount struct {
	// Bytes, where Percent is 0.
	Bytes int64
	// Percent of the file system's size, 1 to 100.
	Percent int
}

// units are the suffixes that ParseAmount knows, longest first.
var units = []struct {
	suffix string
	bytes  int64
}{
	{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"Ti", 1 << 40}, {"Pi", 1 << 50}, {"Ei", 1 << 60},
	{"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}, {"P", 1e15}, {"E", 1e18},
}

// ParseAmount reads an amount: "500Mi", "2G", "15%", or bytes without a unit.
func ParseAmount(text string) (Amount, error) {
	bad := func() (Amount, error) {
		return Amount{}, fmt.Errorf("%q is no amount: write bytes such as 1073741824, 500Mi or 2G, or a share such as 15%%", text)
	}
	if number, ok := strings.CutSuffix(text, "%"); ok {
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || n > 100 {
			return bad()
		}
		return Amount{Percent: n}, nil
	}
	unit := int64(1)
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.suffix); ok {
			text, unit = number, u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return bad()
	}
	return Amount{Bytes: n * unit}, nil
}

// Of returns the amount in bytes in a file system of that size.
func (a Amount) Of(size int64) int64 {
	if a.Percent > 0 {
		return percentOf(size, a.Percent)
	}
	return a.Bytes
}

// String is what ParseAmount reads.
func (a Amount) String() string {
	if a.Percent > 0 {
		return strconv.Itoa(a.Percent) + "%"
	}
	return strconv.FormatInt(a.Bytes, 10)
}

// Set reads a flag.
func (a *Amount) Set(text string) (err error) {
	*a, err = ParseAmount(text)
	return err
}

// Type is what a flag's help calls the value.
func (a *Amount) Type() string { return "amount" }

// percentOf returns percent of n; it does not overflow.
func percentOf(n int64, percent int) int64 {
	return n/100*int64(percent) + n%100*int64(percent)/100
}
