// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

import { defineConfig } from 'vite';

// Nothing is inlined: the page's content security policy lets it load files of its own
// server only.
export default defineConfig({
  build: {
    outDir: '../internal/dashboard/page/dist',
    emptyOutDir: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
});
