// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kuda-io/kuda/internal/inject"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// seLinuxLevel is a sensitivity, or a range of them, with categories.
var seLinuxLevel = regexp.MustCompile(`^s\d+(-s\d+)?(:c\d+([.,]c\d+)*)?$`)

// checkStores checks what concerns stores.
func (c *Config) checkStores() []error {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf(field+": "+format, args...))
	}
	switch c.StoreMode {
	case inject.StoreAuto, inject.StoreNode, inject.StorePod:
	default:
		wrong("storeMode", "must be Auto, Node or Pod, not %q", c.StoreMode)
	}
	switch c.PodSecurityDefault {
	case "privileged", "baseline", "restricted":
	default:
		wrong("podSecurityDefault", "must be privileged, baseline or restricted, not %q", c.PodSecurityDefault)
	}
	if c.NodeDriver != "" && c.NodeDriver != sidecar.CSIDriver {
		wrong("nodeDriver", "must be %s, the driver of kuda-node, or be left out, not %q", sidecar.CSIDriver, c.NodeDriver)
	}
	if c.RuntimeSELinuxLevel != "" && !seLinuxLevel.MatchString(c.RuntimeSELinuxLevel) {
		wrong("runtimeSELinuxLevel", "must be a level such as s0 or s0:c1,c2, not %q", c.RuntimeSELinuxLevel)
	}
	if c.PodStoreSizeLimit != nil && c.PodStoreSizeLimit.Sign() <= 0 {
		wrong("podStoreSizeLimit", "must be more than 0, such as 20Gi")
	}
	if c.NodeStoreQuota != nil && c.NodeStoreQuota.Sign() <= 0 {
		wrong("nodeStoreQuota", "must be more than 0, such as 200Gi")
	}
	if _, ok := readAmount(c.NodeStoreReserve); !ok {
		wrong("nodeStoreReserve", "must be a size such as 20Gi, or a share of the file system such as 10%%, not %q", c.NodeStoreReserve)
	}
	return errs
}

// readAmount returns a size or a share as the runtime reads it: a number of bytes, or
// of percent. Nothing stays nothing.
func readAmount(text string) (string, bool) {
	if number, share := strings.CutSuffix(text, "%"); share {
		n, err := strconv.Atoi(number)
		return strconv.Itoa(n) + "%", err == nil && n >= 0 && n <= 100
	}
	if text == "" {
		return "", true
	}
	size, err := resource.ParseQuantity(text)
	return strconv.FormatInt(size.Value(), 10), err == nil && size.Sign() >= 0
}
