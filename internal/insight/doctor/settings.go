// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/kuda-io/kuda/internal/inject"
)

// configName is the ConfigMap of the installation, and configKey its content.
const (
	configName = "kuda-config"
	configKey  = "config.yaml"
)

// settings are what checks look at of the installation's configuration.
type settings struct {
	DataPathPrefix          string                        `json:"dataPathPrefix"`
	RuntimeImagePullSecrets []corev1.LocalObjectReference `json:"runtimeImagePullSecrets"`
	SchedulerName           string                        `json:"schedulerName"`
	NodeDriver              string                        `json:"nodeDriver"`
	RuntimeImage            string                        `json:"runtimeImage"`
	StoreMode               inject.StoreMode              `json:"storeMode"`
	PodSecurityDefault      string                        `json:"podSecurityDefault"`
}

// readSettings returns those of a ConfigMap. One that cannot be read says nothing:
// many users may not read it. A wrong one is the concern of kuda-webhook.
func readSettings(config fact[*corev1.ConfigMap]) settings {
	var s settings
	if config.err == nil && config.value != nil {
		_ = yaml.Unmarshal([]byte(config.value.Data[configKey]), &s)
	}
	return s
}
