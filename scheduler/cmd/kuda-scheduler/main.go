// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kube-scheduler/app"

	"github.com/kuda-io/kuda/scheduler/plugin/datalocality"
)

func main() {
	command := app.NewSchedulerCommand(app.WithPlugin(datalocality.Name, datalocality.New))
	command.Use = "kuda-scheduler"
	os.Exit(cli.Run(command))
}
