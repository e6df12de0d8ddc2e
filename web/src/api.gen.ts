// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Generated from internal/dashboard/contract; do not edit.

export interface Access {
  namespace: string;
  rights: Record<string, boolean> | null;
}

export interface Alert {
  type: string;
  reason: string;
  message: string;
}

export interface CacheHolder {
  host: string;
  bytes: number;
}

export interface CacheUse {
  servedBytes?: number;
  sourceBytes?: number;
  rejectedBytes?: number;
  fallbackReason?: string;
  message?: string;
}

export interface Change {
  name: string;
  change: string;
  fields?: Array<Field>;
}

export interface Choice {
  verb: string;
  sensible: boolean;
  code?: string;
  message?: string;
  effect?: string;
  revision?: number;
}

export interface Condition {
  type: string;
  status: string;
  observedGeneration?: number;
  lastTransitionTime: string;
  reason: string;
  message: string;
}

export interface Count {
  state: string;
  pods: number;
}

export interface DataSet {
  name: string;
  placement: string;
  revision?: string;
  items: Array<WhyItem> | null;
}

export interface DataSets {
  namespace?: string;
  narrowed?: boolean;
  items: Array<View> | null;
}

export interface Diff {
  namespace: string;
  dataset: string;
  from: string;
  to: string;
  items?: Array<Change>;
  sources?: Array<Change>;
  lifecycle?: Array<Field>;
  spec?: Array<Change>;
  files?: Array<PlannedItem>;
  nodes?: Array<Node>;
  total?: Total;
  note?: string;
  notAsked?: number;
}

export interface Event {
  type: string;
  reason: string;
  message: string;
  object: string;
  count?: number;
  time: string;
}

export interface Failure {
  pod: string;
  node?: string;
  item?: string;
  version?: string;
  path?: string;
  reason?: string;
  message?: string;
  why?: string;
  do?: Array<string>;
}

export interface Field {
  path: string;
  from?: string;
  to?: string;
}

export interface File {
  path: string;
  size: number;
  digest?: string;
  mode?: string;
  link?: string;
}

export interface Files {
  namespace: string;
  pod: string;
  source: string;
  note?: string;
  dataSets: Array<FilesDataSet> | null;
}

export interface FilesDataSet {
  name: string;
  revision: string;
  items: Array<FilesItem> | null;
}

export interface FilesItem {
  namespace: string;
  name: string;
  version: string;
  path: string;
  digest: string;
  bytes: number;
  files: Array<File> | null;
  phase?: string;
  reason?: string;
}

export interface Finding {
  severity: string;
  check: string;
  object?: Object;
  condition?: string;
  reason?: string;
  what: string;
  why?: string;
  do?: Array<string>;
}

export interface Group {
  state: string;
  reason: string;
  pods: number;
}

export interface Held {
  dataSet: string;
  name: string;
  version?: string;
  state: string;
  bytes: number;
  pods: number;
  preheated?: boolean;
  lastUsedTime?: string;
}

export interface HistoryEntry {
  number?: number;
  revision: string;
  role?: string;
  kept: boolean;
  outcome?: string;
  startTime?: string;
  endTime?: string;
  by?: string;
  byManager?: boolean;
  pods?: number;
  failedPods?: number;
  bytes?: number;
  endedStep?: number;
  changeCause?: string;
  message?: string;
}

export interface InspectionFiles {
  count: number;
  bytes: number;
  files?: Array<Name>;
}

export interface Item {
  namespace: string;
  dataSet: string;
  name: string;
  version?: string;
  bytes: number;
  nodes: number;
}

export interface KeeperStatus {
  podName: string;
  version?: string;
  observedTime: string;
  quotaBytes?: number;
  usedBytes?: number;
}

export interface Mark {
  name?: string;
  number?: number;
  cause?: string;
  by?: string;
}

export interface Me {
  mode: string;
  user: string;
  cluster?: string;
  namespace: string;
  version: string;
  installed: boolean;
}

export interface Name {
  path: string;
  size: number;
}

export interface Node {
  name: string;
  pods: number;
  asked?: string;
  totalBytes: number;
  bytesPresent: number;
  bytesToMove: number;
  error?: string;
}

export interface Nodes {
  items: Array<Item> | null;
  stores: Array<Store> | null;
  otherNodes: number;
}

export interface Object {
  kind: string;
  namespace?: string;
  name: string;
}

export interface Other {
  snapshots: number;
  bytes: number;
}

export interface Pending {
  reason?: string;
  message?: string;
  events?: Array<WhyEvent>;
}

export interface PlannedItem {
  namespace: string;
  name: string;
  version: string;
  currentVersion: string;
  path: string;
  added: InspectionFiles;
  changed: InspectionFiles;
  removed: InspectionFiles;
  unchanged: InspectionFiles;
  totalBytes: number;
  bytesToMove: number;
  bytesPresent: number;
  reason?: string;
  error?: string;
}

export interface Pod {
  namespace: string;
  name: string;
  dataSets: Array<PodData> | null;
}

export interface PodData {
  dataSet: string;
  pod: StatusPod;
}

export interface Points {
  node: number;
  rack: number;
  zone: number;
  downloads: number;
  cache?: number;
  spread: number;
}

export interface Preference {
  node: string;
  weight: number;
}

export interface PreheatCacheStatus {
  phase: string;
  node?: string;
  heldBytes?: number;
  totalBytes?: number;
  holders?: Array<CacheHolder>;
  reason?: string;
  message?: string;
  time?: string;
}

export interface PreheatNodeStatus {
  node: string;
  phase: string;
  reason?: string;
  message?: string;
  time?: string;
}

export interface PreheatStatus {
  revision?: string;
  desired: number;
  ready: number;
  failed: number;
  nodes?: Array<PreheatNodeStatus>;
  cache?: PreheatCacheStatus;
  lastScheduleTime?: string;
  nextScheduleTime?: string;
  request?: string;
}

export interface Problem {
  code: string;
  message: string;
}

export interface Progress {
  bytes: number;
  total: number;
  rate?: number;
  secondsLeft?: number;
}

export interface Report {
  findings: Array<Finding> | null;
  summary: Summary;
}

export interface Scene {
  view: View;
  uid: string;
  choices: Array<Choice> | null;
  steps?: Array<Step>;
  conditions?: Array<Condition>;
  groups?: Array<Group>;
  timeline: Timeline;
  window: Window;
  seenTime: string;
  trouble?: string;
}

export interface SignIn {
  secret?: string;
  token?: string;
}

export interface Snapshot {
  id: string;
  marks?: Array<string>;
  source?: string;
  path?: string;
  version?: string;
  digest?: string;
  bytes: number;
  phase: string;
  lastUsedTime?: string;
  pods?: number;
  preheated?: boolean;
  items?: Array<string>;
}

export interface SnapshotDamage {
  id: string;
  path?: string;
  version?: string;
  message?: string;
  foundTime: string;
}

export interface StatusItem {
  name: string;
  version?: string;
  phase?: string;
  reason?: string;
  message?: string;
  origin?: string;
  cache?: CacheUse;
  progress?: Progress;
}

export interface StatusPod {
  name: string;
  node?: string;
  revision?: string;
  sees?: string;
  state: string;
  progress?: Progress;
  message?: string;
  items?: Array<StatusItem>;
}

export interface StatusStep {
  index: number;
  of: number;
  kind: string;
}

export interface SteerRequest {
  uid: string;
  updateRevision?: string;
  full?: boolean;
  revision?: number;
  dryRun?: boolean;
}

export interface SteerResult {
  message: string;
  warnings?: Array<string>;
}

export interface Step {
  kind: string;
  partition?: string;
  seconds?: number;
  count?: number;
  succeeded?: number;
  failed?: number;
  state: string;
}

export interface Store {
  node: string;
  namespace: string;
  stale?: string;
  storeID: string;
  observedTime?: string;
  usedBytes: number;
  quotaBytes?: number;
  capacityBytes: number;
  freeBytes: number;
  availableBytes: number;
  unreadable?: string;
  verifiedTime?: string;
  damaged?: Array<SnapshotDamage>;
  keeper?: KeeperStatus;
  items: Array<Held> | null;
  other: Other;
  snapshots?: Array<Snapshot>;
}

export interface Summary {
  ok: number;
  warnings: number;
  problems: number;
  unknown: number;
}

export interface Text {
  name: string;
  yaml: string;
}

export interface Timeline {
  begin?: string;
  seconds: Array<number> | null;
  pods: Array<number> | null;
  total: number;
}

export interface Total {
  nodes: number;
  pods: number;
  bytesPresent: number;
  bytesToMove: number;
}

export interface Verdict {
  state: string;
  reason?: string;
  message?: string;
  pods?: number;
}

export interface View {
  namespace: string;
  name: string;
  verdict: Verdict;
  phase?: string;
  reason?: string;
  message?: string;
  paused?: boolean;
  update: Mark;
  stable: Mark;
  step?: StatusStep;
  startTime?: string;
  endTime?: string;
  deadline?: string;
  waitsFor?: string;
  ready?: string;
  replicas: number;
  updated: number;
  counts?: Array<Count>;
  moving?: Progress;
  preheat?: PreheatStatus;
  alerts?: Array<Alert>;
  failure?: Failure;
  pods?: Array<StatusPod>;
  unread?: Array<string>;
}

export interface Why {
  namespace: string;
  pod: string;
  scheduler: string;
  node?: string;
  placedTime?: string;
  pending?: Pending;
  phase?: string;
  dataSets: Array<DataSet> | null;
  totalBytes: number;
  preferences?: Array<Preference>;
  weights: Points;
  computedTime: string;
  events?: Array<WhyEvent>;
  unread?: Array<string>;
  nodes: Array<WhyNode> | null;
  explanation: Array<string> | null;
  do?: Array<string>;
}

export interface WhyEvent {
  reason: string;
  message: string;
  from?: string;
  time?: string;
}

export interface WhyItem {
  name: string;
  version?: string;
  bytes: number;
  holders?: Array<string>;
  phase?: string;
  reason?: string;
  message?: string;
  origin?: string;
}

export interface WhyNode {
  name: string;
  chosen?: boolean;
  heldBytes: number;
  downloadingBytes?: number;
  cachedBytes?: number;
  missing?: Array<string>;
  downloads: number;
  pods: number;
  roomBytes?: number;
  score: number;
  points: Points;
  against?: Array<string>;
}

export interface Window {
  total: number;
  offset: number;
  pods: Array<StatusPod> | null;
}
