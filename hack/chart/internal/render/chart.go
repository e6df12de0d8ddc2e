// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
)

// Chart is a chart in a directory.
type Chart struct {
	chart *chart.Chart
}

// Load reads the chart in a directory.
func Load(dir string) (*Chart, error) {
	c, err := loader.LoadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("loading chart %s: %w", dir, err)
	}
	return &Chart{chart: c}, nil
}

// Values returns the chart's own values.
func (c *Chart) Values() map[string]any { return c.chart.Values }

// Files renders the templates with values beside the chart's own, for a release "kuda" in
// a namespace. It returns the content of each file below templates/ that is not empty.
// Values that the schema refuses are an error.
func (c *Chart) Files(namespace string, values map[string]any) (map[string]string, error) {
	release := common.ReleaseOptions{Name: "kuda", Namespace: namespace, Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(c.chart, values, release, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the values: %w", err)
	}
	rendered, err := engine.Render(c.chart, all)
	if err != nil {
		return nil, fmt.Errorf("rendering the chart: %w", err)
	}
	files := make(map[string]string, len(rendered))
	for name, content := range rendered {
		name = strings.TrimPrefix(name, path.Join(c.chart.Name(), "templates")+"/")
		if content = strings.Trim(content, "\n"); strings.TrimSpace(content) != "" && path.Ext(name) != ".tpl" {
			files[name] = content + "\n"
		}
	}
	return files, nil
}

// sortedNames returns the names of files in order.
func sortedNames(files map[string]string) []string {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
