// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package document judges the Markdown pages of the repository: that each link
// leads to a file and a heading that exist, that each translated page follows the
// page that it is a translation of, and that its Chinese text is set apart from Latin
// text. It does not judge wording, and opens no link to another host. The command "kuda-check documents" uses it.
package document
