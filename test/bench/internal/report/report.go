// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/test/bench/internal/client"
	"github.com/kuda-io/kuda/test/bench/internal/measure"
	"github.com/kuda-io/kuda/test/bench/internal/race"
)

// Report is the whole result.
type Report struct {
	Started string `json:"started"`
	// Kuda is the commit that was measured; "-dirty" follows when files differ.
	Kuda     string            `json:"kuda"`
	Versions map[string]string `json:"versions"`
	Machine  measure.Machine   `json:"machine"`
	Settings map[string]string `json:"settings"`
	Seconds  float64           `json:"seconds"`
	// Warnings are about the machine, not about clients.
	Warnings []string `json:"warnings,omitempty"`
	Rows     []*Row   `json:"rows"`
}

// Row is one comparison.
type Row struct {
	Name  string `json:"row"`
	Title string `json:"title"`
	// Bytes and Files that a client has to bring.
	Bytes int64 `json:"bytes,omitempty"`
	Files int   `json:"files,omitempty"`
	// Busy is the share of the processors that others used just before.
	Busy    float64  `json:"busyBefore"`
	Clients []Client `json:"clients,omitempty"`
	Checks  []Check  `json:"metrics,omitempty"`
	// Failed is why there is no result.
	Failed string `json:"failed,omitempty"`
	// Notes say what must be known to judge the figures.
	Notes []string `json:"notes,omitempty"`
}

// Client is what one client needed.
type Client struct {
	Name     string      `json:"client"`
	Kind     client.Kind `json:"kind"`
	Tuned    bool        `json:"tuned,omitempty"`
	Settings string      `json:"settings,omitempty"`
	Failed   string      `json:"failed,omitempty"`
	Wall     float64     `json:"wallSeconds,omitempty"`
	Worst    float64     `json:"worstWallSeconds,omitempty"`
	GBps     float64     `json:"gigabytesPerSecond,omitempty"`
	CPU      float64     `json:"cpuSeconds,omitempty"`
	CPUPerGB float64     `json:"cpuSecondsPerGigabyte,omitempty"`
	RSS      int64       `json:"peakRSSBytes,omitempty"`
	Flush    float64     `json:"flushSeconds,omitempty"`
	// Requests and Connections are medians, where they were counted.
	Requests    float64       `json:"requests,omitempty"`
	Connections float64       `json:"connections,omitempty"`
	Samples     []race.Sample `json:"runs,omitempty"`
}

// Goal is what a figure is to be.
type Goal struct {
	Value float64 `json:"value"`
	// AtLeast, or at most.
	AtLeast bool `json:"atLeast"`
}

// Check is one figure of ours beside its measure.
type Check struct {
	Metric string `json:"metric"`
	Unit   string `json:"unit,omitempty"`
	// Ours and Other are the two figures, where there are two.
	Ours      float64 `json:"ours,omitempty"`
	Other     float64 `json:"other,omitempty"`
	OtherName string  `json:"otherName,omitempty"`
	// Value is what is compared with the goal: a ratio, or Ours.
	Value   float64 `json:"value"`
	Goal    *Goal   `json:"target,omitempty"`
	Reached *bool   `json:"reached,omitempty"`
}

// AtLeast is the goal of what is to be large.
func AtLeast(v float64) *Goal { return &Goal{Value: v, AtLeast: true} }

// AtMost is the goal of what is to be small.
func AtMost(v float64) *Goal { return &Goal{Value: v} }

// Add adds a check. A figure that is not a number reaches no goal.
func (r *Row) Add(c Check) {
	if math.IsNaN(c.Value) || math.IsInf(c.Value, 0) {
		c.Value = 0
		if c.Goal != nil {
			c.Reached = new(bool)
		}
	} else if c.Goal != nil {
		reached := c.Value <= c.Goal.Value
		if c.Goal.AtLeast {
			reached = c.Value >= c.Goal.Value
		}
		c.Reached = &reached
	}
	r.Checks = append(r.Checks, c)
}

// Ratio adds the check of a quotient, such as "how much faster".
func (r *Row) Ratio(metric, unit string, dividend, divisor float64, oursIsDivisor bool, otherName string, goal *Goal) {
	c := Check{Metric: metric, Unit: unit, Ours: dividend, Other: divisor, OtherName: otherName, Value: dividend / divisor, Goal: goal}
	if oursIsDivisor {
		c.Ours, c.Other = divisor, dividend
	}
	r.Add(c)
}

// SetClients takes over the outcomes of a race.
func (r *Row) SetClients(outcomes []race.Outcome) {
	gigabytes := float64(r.Bytes) / 1e9
	for _, o := range outcomes {
		c := Client{Name: o.Client.Name, Kind: o.Client.Kind, Tuned: o.Client.Tuned, Settings: o.Client.Settings(), Samples: o.Samples}
		if o.Err != nil {
			c.Failed = o.Err.Error()
		}
		if len(o.Samples) > 0 {
			walls := o.Of(func(s race.Sample) float64 { return s.Wall })
			c.Wall, c.Worst = race.Median(walls), slices.Max(walls)
			c.CPU, c.RSS = race.Median(o.Of(func(s race.Sample) float64 { return s.CPU })), most(o.Samples)
			c.Flush = race.Median(o.Of(func(s race.Sample) float64 { return s.Flush }))
			c.Requests = race.Median(o.Of(func(s race.Sample) float64 { return float64(s.Requests) }))
			c.Connections = race.Median(o.Of(func(s race.Sample) float64 { return float64(s.Connections) }))
			if gigabytes > 0 && !o.Client.Partial {
				c.GBps, c.CPUPerGB = gigabytes/c.Wall, c.CPU/gigabytes
			}
		}
		r.Clients = append(r.Clients, c)
	}
}

// most is the largest resident set of all runs.
func most(samples []race.Sample) int64 {
	var rss int64
	for _, s := range samples {
		rss = max(rss, s.RSS)
	}
	return rss
}

// Client returns that of a name if it worked.
func (r *Row) Client(name string) (Client, bool) {
	for _, c := range r.Clients {
		if c.Name == name && c.Failed == "" && c.Wall > 0 {
			return c, true
		}
	}
	return Client{}, false
}

// Time is the median of the time on the clock.
func (c Client) Time() float64 { return c.Wall }

// Durable is the time until everything was on the disk.
func (c Client) Durable() float64 { return c.Wall + c.Flush }

// Best returns the peer with the smallest figure, of those whose name begins
// with a prefix.
func (r *Row) Best(figure func(Client) float64, prefix string) (Client, bool) {
	var best Client
	found := false
	for _, c := range r.Clients {
		if c.Kind != client.Peer || c.Failed != "" || c.Wall == 0 || !strings.HasPrefix(c.Name, prefix) {
			continue
		}
		if !found || figure(c) < figure(best) {
			best, found = c, true
		}
	}
	return best, found
}

// Missed returns how many goals of all rows were not reached, rows without a
// result counted as one, and how many there are.
func (r *Report) Missed() (missed, goals int) {
	for _, row := range r.Rows {
		if row.Failed != "" {
			missed++
			goals++
		}
		for _, c := range row.Checks {
			if c.Reached != nil {
				goals++
				if !*c.Reached {
					missed++
				}
			}
		}
	}
	return missed, goals
}

// Save writes the report as JSON.
func (r *Report) Save(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
