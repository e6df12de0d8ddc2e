// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

// Phases of an item as the local API and logs print them.
const (
	PhaseWaiting     = "waiting"
	PhaseDownloading = "downloading"
	PhaseSuccess     = "success"
	PhaseFailed      = "failed"
)

// Reasons of an item, as the API documents them. They are repeated here so that
// the runtime does not link the API's packages; a test compares the two lists.
const (
	ReasonWaiting             = "Waiting"
	ReasonDownloading         = "Downloading"
	ReasonSharedDownload      = "SharedDownload"
	ReasonHookPending         = "HookPending"
	ReasonNotFound            = "NotFound"
	ReasonAccessDenied        = "AccessDenied"
	ReasonCredentialsMissing  = "CredentialsMissing"
	ReasonSourceUnreachable   = "SourceUnreachable"
	ReasonThrottled           = "Throttled"
	ReasonSourceChanged       = "SourceChanged"
	ReasonSourceUnsupported   = "SourceUnsupported"
	ReasonSourceMisconfigured = "SourceMisconfigured"
	ReasonDigestMismatch      = "DigestMismatch"
	ReasonInsufficientSpace   = "InsufficientSpace"
	ReasonInvalidPath         = "InvalidPath"
	ReasonPathConflict        = "PathConflict"
	ReasonHookFailed          = "HookFailed"
	ReasonStoreFailed         = "StoreFailed"
)
