// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hdfs

import (
	"fmt"
	"slices"
	"strconv"
)

type settings struct {
	ha, kerberos              bool
	protection, rpcProtection string
	legacyCipher              bool
	blockSize                 int64
	datanodes, replication    int
}

var levels = []string{"authentication", "integrity", "privacy"}

func parseSettings(values map[string]string) (settings, error) {
	s := settings{protection: levels[0], rpcProtection: levels[0], blockSize: 128 << 20, datanodes: 3, replication: 3}
	for name, value := range values {
		var err error
		switch name {
		case "ha":
			s.ha, err = strconv.ParseBool(value)
		case "kerberos":
			s.kerberos, err = strconv.ParseBool(value)
		case "protection":
			s.protection, err = value, oneOf(value, levels...)
		case "rpc-protection":
			s.rpcProtection, err = value, oneOf(value, levels...)
		case "cipher":
			s.legacyCipher, err = value == "legacy", oneOf(value, "aes", "legacy")
		case "block-size":
			s.blockSize, err = strconv.ParseInt(value, 10, 64)
		case "datanodes":
			s.datanodes, err = strconv.Atoi(value)
		case "replication":
			s.replication, err = strconv.Atoi(value)
		default:
			return s, fmt.Errorf("HDFS has no setting %q", name)
		}
		if err != nil {
			return s, fmt.Errorf("reading the setting %s: %w", name, err)
		}
	}
	return s, nil
}

func oneOf(value string, allowed ...string) error {
	if !slices.Contains(allowed, value) {
		return fmt.Errorf("%q is not one of %q", value, allowed)
	}
	return nil
}
