// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package grafana

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// Board is a dashboard.
type Board struct {
	// Name is that of its file, and its identity in Grafana.
	Name, Title, Description string
	// Variables choose what is shown.
	Variables []Variable
	Rows      []Row
}

// Variable is chosen by the reader: a label of a metric.
type Variable struct {
	Name, Query string
}

// Row is a part of a dashboard.
type Row struct {
	Title  string
	Panels []Panel
}

// Panel is one picture: a number, or lines over time.
type Panel struct {
	Title, Description string
	// Number shows the newest value alone.
	Number bool
	// Unit of the values, as Grafana names it; empty: a count.
	Unit    string
	Queries []Query
}

// Query is what a panel asks Prometheus.
type Query struct {
	Expr, Legend string
}

// The grid of Grafana is 24 columns wide.
const (
	numberWidth, numberHeight = 4, 4
	linesWidth, linesHeight   = 12, 8
)

// Write writes each dashboard into a directory, as NAME.json.
func Write(dir string) error {
	for _, b := range Boards() {
		content, err := b.JSON()
		if err != nil {
			return err
		}
		file := filepath.Join(dir, b.Name+".json")
		if err := os.WriteFile(file, content, 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", file, err)
		}
	}
	return nil
}

// JSON returns the dashboard as Grafana takes it.
func (b *Board) JSON() ([]byte, error) {
	built, err := b.builder().Build()
	if err != nil {
		return nil, fmt.Errorf("building dashboard %s: %w", b.Name, err)
	}
	content, err := json.MarshalIndent(built, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding dashboard %s: %w", b.Name, err)
	}
	return append(content, '\n'), nil
}

//nolint:staticcheck // the classic form of a dashboard: each Grafana of today takes it, and its sidecar knows no other
func (b *Board) builder() *dashboard.DashboardBuilder {
	board := dashboard.NewDashboardBuilder(b.Title).
		Uid("kuda-"+b.Name).
		Description(b.Description).
		Tags([]string{"kuda"}).
		Refresh("30s").
		Time("now-6h", "now").
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Prometheus").Type("prometheus"))
	for _, v := range b.Variables {
		board.WithVariable(dashboard.NewQueryVariableBuilder(v.Name).
			Datasource(source()).
			Query(dashboard.StringOrMap{String: cog.ToPtr(v.Query)}).
			Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
			Sort(dashboard.VariableSortAlphabeticalAsc).
			Multi(true).
			IncludeAll(true))
	}
	for _, r := range b.Rows {
		board.WithRow(dashboard.NewRowBuilder(r.Title))
		for _, p := range r.Panels {
			board.WithPanel(p.builder())
		}
	}
	return board
}

func source() common.DataSourceRef {
	return common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}
}

func (p *Panel) builder() cog.Builder[dashboard.Panel] {
	if p.Number {
		panel := stat.NewPanelBuilder().Title(p.Title).Description(p.Description).Datasource(source()).
			Unit(p.Unit).Span(numberWidth).Height(numberHeight).ColorMode(common.BigValueColorModeNone)
		for i, q := range p.Queries {
			panel.WithTarget(q.builder(i).Instant())
		}
		return panel
	}
	panel := timeseries.NewPanelBuilder().Title(p.Title).Description(p.Description).Datasource(source()).
		Unit(p.Unit).Span(linesWidth).Height(linesHeight).Min(0).FillOpacity(10)
	for i, q := range p.Queries {
		panel.WithTarget(q.builder(i))
	}
	return panel
}

func (q Query) builder(i int) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().Expr(q.Expr).LegendFormat(q.Legend).RefId(string(rune('A' + i)))
}
