// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Table writes the report for people.
func (r *Report) Table(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "\nKuda %s on %s, %d cores, %d GiB, Linux %s, %s\n", r.Kuda, r.Machine.CPU, r.Machine.Cores,
		(r.Machine.MemoryBytes+1<<29)>>30, r.Machine.Kernel, r.Machine.FileSystem)
	for _, row := range r.Rows {
		fmt.Fprintf(out, "\n%s: %s\n", row.Name, row.Title)
		if row.Failed != "" {
			fmt.Fprintf(out, "  failed: %s\n", row.Failed)
		}
		if len(row.Clients) > 0 {
			row.clients(w)
			if err := w.Flush(); err != nil {
				return err
			}
		}
		for _, c := range row.Clients {
			if c.Failed != "" {
				fmt.Fprintf(out, "  %s failed: %s\n", c.Name, c.Failed)
			}
		}
		for _, c := range row.Checks {
			fmt.Fprintf(out, "  %s\n", c)
		}
		for _, n := range row.Notes {
			fmt.Fprintf(out, "  note: %s\n", n)
		}
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(out, "\nwarning: %s\n", warning)
	}
	missed, goals := r.Missed()
	_, err := fmt.Fprintf(out, "\n%d of %d targets reached, in %.0f s\n", goals-missed, goals, r.Seconds)
	return err
}

func (row *Row) clients(w io.Writer) {
	counted := ""
	if slices.ContainsFunc(row.Clients, func(c Client) bool { return c.Requests > 0 }) {
		counted = "requests\tconnections\t"
	}
	fmt.Fprintln(w, "client\twall s\tworst\tx ours\tGB/s\tcpu-s\tcpu-s/GB\tRSS MiB\tflush s\t"+counted)
	ours, _ := row.Client("kuda")
	for _, c := range row.Clients {
		if c.Wall == 0 {
			continue
		}
		relative := "-"
		if ours.Wall > 0 {
			relative = fmt.Sprintf("%.2f", c.Wall/ours.Wall)
		}
		fmt.Fprintf(w, "%s\t%.3f\t%.3f\t%s\t%s\t%.2f\t%s\t%d\t%.3f\t", c.Name, c.Wall, c.Worst, relative,
			optional(c.GBps), c.CPU, optional(c.CPUPerGB), c.RSS>>20, c.Flush)
		if counted != "" {
			fmt.Fprintf(w, "%.0f\t%.0f\t", c.Requests, c.Connections)
		}
		fmt.Fprintln(w)
	}
}

func optional(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", v)
}

// String is one line: the figure, what it is made of, the goal.
func (c Check) String() string {
	var b strings.Builder
	state := "  "
	if c.Reached != nil {
		state = "NO"
		if *c.Reached {
			state = "ok"
		}
	}
	fmt.Fprintf(&b, "[%s] %s: %s", state, c.Metric, figure(c.Value))
	if c.OtherName != "" {
		fmt.Fprintf(&b, " (ours %s%s, %s %s%s)", figure(c.Ours), c.Unit, c.OtherName, figure(c.Other), c.Unit)
	} else {
		b.WriteString(c.Unit)
	}
	if c.Goal != nil {
		sign := "≤"
		if c.Goal.AtLeast {
			sign = "≥"
		}
		fmt.Fprintf(&b, ", target %s %s", sign, figure(c.Goal.Value))
	}
	return b.String()
}

// figure has four digits that say something, or all of a large whole number.
func figure(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.4g", v)
}
