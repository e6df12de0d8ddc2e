// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package grafana

// Units, as Grafana names them.
const (
	bytes          = "bytes"
	bytesPerSecond = "Bps"
	seconds        = "s"
	perSecond      = "ops"
)

// Boards returns Kuda's dashboards.
func Boards() []Board {
	return []Board{dataSets(), installation()}
}

// ofDataSet are the labels of the DataSets that the reader chose.
const ofDataSet = `namespace=~"$namespace", dataset=~"$dataset"`

func dataSets() Board {
	return Board{
		Name: "datasets", Title: "Kuda / DataSets",
		Description: "What was asked for, which pods have it, and what the rollouts do.",
		Variables: []Variable{
			{"namespace", "label_values(kuda_dataset_replicas, namespace)"},
			{"dataset", `label_values(kuda_dataset_replicas{namespace=~"$namespace"}, dataset)`},
		},
		Rows: []Row{
			{"Now", []Panel{
				number("Pods ready", `sum(kuda_dataset_replicas{`+ofDataSet+`, state="ready"})`),
				number("Pods unavailable", `sum(kuda_dataset_replicas{`+ofDataSet+`, state="unavailable"})`),
				number("Pods without runtime", `sum(kuda_dataset_replicas{`+ofDataSet+`, state="uninjected"})`),
				number("Stalled", `sum(kuda_dataset_condition{`+ofDataSet+`, type="Stalled", status="True"})`),
				number("Rollouts underway", `sum(kuda_dataset_condition{`+ofDataSet+`, type="Reconciling", status="True"})`),
				number("Wait for promotion", `count(kuda_rollout_info{`+ofDataSet+`, reason=~"Paused|StepPaused"}) or vector(0)`),
			}},
			{"Rollouts", []Panel{
				lines("Pods by state", "", Query{
					`sum by (namespace, dataset, state) (kuda_dataset_replicas{` + ofDataSet + `})`, "{{namespace}}/{{dataset}} {{state}}"}),
				lines("Phase", "", Query{
					`kuda_rollout_info{` + ofDataSet + `}`, "{{namespace}}/{{dataset}} {{phase}} {{reason}} {{revision}}"}),
				lines("Step", "", Query{`kuda_rollout_step{` + ofDataSet + `}`, "{{namespace}}/{{dataset}}"}),
				lines("Since the rollout began", seconds, Query{
					`time() - kuda_rollout_start_timestamp_seconds{` + ofDataSet + `}
and on (namespace, dataset) kuda_dataset_condition{` + ofDataSet + `, type="Reconciling", status="True"} == 1`,
					"{{namespace}}/{{dataset}}"}),
			}},
			{"Data", []Panel{
				lines("Size of items", bytes, Query{`kuda_item_bytes{` + ofDataSet + `}`, "{{namespace}}/{{dataset}} {{item}}"}),
				lines("Received from sources (where runtimes are scraped)", bytesPerSecond, Query{
					`sum by (namespace) (rate(kuda_runtime_received_bytes_total{namespace=~"$namespace"}[5m]))`, "{{namespace}}"}),
				lines("Failed tries (where runtimes are scraped)", perSecond, Query{
					`sum by (namespace, reason) (rate(kuda_runtime_item_failures_total{namespace=~"$namespace"}[5m]))`, "{{namespace}} {{reason}}"}),
				lines("Bytes by cache (where runtimes are scraped)", bytesPerSecond, Query{
					`sum by (outcome) (rate(kuda_runtime_cache_bytes_total{namespace=~"$namespace"}[5m]))`, "{{outcome}}"}),
			}},
		},
	}
}

func installation() Board {
	return Board{
		Name: "installation", Title: "Kuda / Installation",
		Description: "Whether Kuda's own components do their work.",
		Rows: []Row{
			{"Now", []Panel{
				number("Leaders", "sum(kuda_leader)"),
				number("Managers", "count(kuda_build_info)"),
				number("Configuration valid", "min(kuda_config_valid)"),
				numberOf("Authority expires in", seconds, "min(kuda_ca_expires_in_seconds)"),
				number("DataSets", "max(sum by (instance) (kuda_datasets))"),
				number("Nodes with little room", "max(kuda_nodestores_tight)"),
			}},
			{"Rollouts of all DataSets", []Panel{
				lines("DataSets by reason", "", Query{"max by (reason) (kuda_datasets)", "{{reason}}"}),
				lines("Pods by phase", "", Query{"max by (phase) (kuda_datas)", "{{phase}}"}),
				lines("Rollouts that ended", perSecond, Query{"sum by (outcome) (rate(kuda_rollouts_total[1h]))", "{{outcome}}"}),
				lines("From the edit until the application saw it", seconds,
					Query{"histogram_quantile(0.5, sum by (le) (rate(kuda_rollout_switch_seconds_bucket[1h])))", "half of the pods"},
					Query{"histogram_quantile(0.99, sum by (le) (rate(kuda_rollout_switch_seconds_bucket[1h])))", "99 %"}),
			}},
			{"Gateway", []Panel{
				lines("Open streams", "", Query{"sum by (instance) (kuda_gateway_streams)", "{{instance}}"}),
				lines("Reports", perSecond, Query{"sum by (outcome) (rate(kuda_gateway_reports_total[5m]))", "{{outcome}}"}),
				lines("Writes of status", perSecond, Query{"sum by (outcome) (rate(kuda_gateway_status_writes_total[5m]))", "{{outcome}}"}),
				lines("Refusals", perSecond, Query{"sum by (reason) (rate(kuda_gateway_refusals_total[5m]))", "{{reason}}"}),
			}},
			{"Webhook", []Panel{
				lines("Pods", perSecond, Query{"sum by (outcome) (rate(kuda_admission_pods_total[5m]))", "{{outcome}}"}),
				lines("Requests", perSecond, Query{"sum by (outcome) (rate(kuda_admission_requests_total[5m]))", "{{outcome}}"}),
				lines("Placements", perSecond, Query{"sum by (outcome) (rate(kuda_admission_placements_total[5m]))", "{{outcome}}"}),
				lines("Rights of authors", perSecond, Query{"sum by (outcome) (rate(kuda_author_checks_total[5m]))", "{{outcome}}"}),
			}},
			{"Nodes", []Panel{
				lines("Snapshots", "", Query{"max(kuda_nodestore_snapshots)", "snapshots"}),
				lines("Bytes", bytes, Query{"max(kuda_nodestore_bytes)", "bytes"}),
				lines("Stored, by keeper", bytes, Query{"kuda_keeper_stored_bytes", "{{instance}}"}),
				lines("Evicted, by keeper", bytesPerSecond, Query{"rate(kuda_keeper_evicted_bytes_total[15m])", "{{instance}}"}),
			}},
		},
	}
}

func number(title, expr string) Panel { return numberOf(title, "", expr) }

func numberOf(title, unit, expr string) Panel {
	return Panel{Title: title, Number: true, Unit: unit, Queries: []Query{{Expr: expr}}}
}

func lines(title, unit string, queries ...Query) Panel {
	return Panel{Title: title, Unit: unit, Queries: queries}
}
