// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

// Phases of an item as the local API and logs print them.
const (
	phaseWaiting     = "waiting"
	phaseDownloading = "downloading"
	phaseSuccess     = "success"
	phaseFailed      = "failed"
)

// Reasons of an item, as the API documents them. They are repeated here so that
// the runtime does not link the API's packages; a test compares the two lists.
const (
	reasonWaiting             = "Waiting"
	reasonDownloading         = "Downloading"
	reasonSharedDownload      = "SharedDownload"
	reasonHookPending         = "HookPending"
	reasonNotFound            = "NotFound"
	reasonAccessDenied        = "AccessDenied"
	reasonCredentialsMissing  = "CredentialsMissing"
	reasonSourceUnreachable   = "SourceUnreachable"
	reasonThrottled           = "Throttled"
	reasonSourceChanged       = "SourceChanged"
	reasonSourceUnsupported   = "SourceUnsupported"
	reasonSourceMisconfigured = "SourceMisconfigured"
	reasonDigestMismatch      = "DigestMismatch"
	reasonInsufficientSpace   = "InsufficientSpace"
	reasonInvalidPath         = "InvalidPath"
	reasonPathConflict        = "PathConflict"
	reasonHookFailed          = "HookFailed"
	reasonStoreFailed         = "StoreFailed"
)
