// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take on a machine that is busy.
const patience = 60 * time.Second

// tab is one page of the browser.
type tab struct {
	ctx  context.Context
	base string
	mu   sync.Mutex
	// complaints are what the console has of errors, the reports of the content security policy
	// among them.
	complaints []string
}

// open starts a browser and signs in by the secret of the address.
func (w *world) open(t *testing.T) *tab {
	t.Helper()
	b := startBrowser(t, w.base)
	b.do(t, chromedp.Navigate(w.base+"/#s="+w.door.Secret()))
	b.ready(t)
	return b
}

// startBrowser starts a browser for the server at base, and shows nothing yet.
func startBrowser(t *testing.T, base string) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 900),
		chromedp.IgnoreCertErrors, chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("lang", "en"), chromedp.WSURLReadTimeout(patience))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	// Events that the client does not know yet are no errors of the page.
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(func() {
		cancel()
		stop()
	})
	b := &tab{ctx: ctx, base: base}
	chromedp.ListenTarget(ctx, b.listen)
	// The browser lives as long as the context of the first call.
	if err := chromedp.Run(ctx); err != nil {
		t.Fatal(err)
	}
	b.do(t, log.Enable())
	return b
}

func (b *tab) listen(event any) {
	text := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text = e.ExceptionDetails.Error()
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError {
			text = fmt.Sprint("console: ", len(e.Args), " ", string(e.Args[0].Value))
		}
	case *log.EventEntryAdded:
		// What a request was refused with is shown by the page itself.
		if e.Entry.Level == log.LevelError && e.Entry.Source != log.SourceNetwork {
			text = e.Entry.Text
		}
	}
	if text != "" {
		b.mu.Lock()
		b.complaints = append(b.complaints, text)
		b.mu.Unlock()
	}
}

func (b *tab) do(t *testing.T, actions ...chromedp.Action) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// until waits until an expression is true. While a page is being left there is nothing to
// ask, which is no answer.
func (b *tab) until(t *testing.T, expression string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		holds := false
		err := chromedp.Run(ctx, chromedp.Evaluate("!!("+expression+")", &holds))
		if err == nil && holds {
			return
		}
		select {
		case <-ctx.Done():
			var text string
			_ = chromedp.Run(b.ctx, chromedp.Evaluate("document.body.innerText", &text))
			t.Fatalf("waiting for %s (%v); the page shows:\n%s", expression, err, text)
		case <-again.C:
		}
	}
}

// ready waits until nothing is loading.
func (b *tab) ready(t *testing.T) {
	t.Helper()
	b.until(t, `!!document.querySelector('main h1') && !document.querySelector('.loading')`)
}

// go shows a view.
func (b *tab) visit(t *testing.T, path string) {
	t.Helper()
	b.do(t, chromedp.Navigate(b.base+path))
	b.ready(t)
}

// say chooses a language and a theme.
func (b *tab) say(t *testing.T, language, theme string) {
	t.Helper()
	b.do(t, chromedp.Evaluate(fmt.Sprintf(`localStorage.setItem('kuda-language', %q); localStorage.setItem('kuda-theme', %q)`,
		language, theme), nil))
}

func (b *tab) text(t *testing.T) string {
	t.Helper()
	var text string
	b.do(t, chromedp.Evaluate("document.body.innerText", &text))
	return text
}

// click presses the button with that text, once it is on.
func (b *tab) click(t *testing.T, text string) {
	t.Helper()
	button := fmt.Sprintf(`[...document.querySelectorAll('button')].find((x) => x.firstChild?.textContent.trim() === %q)`, text)
	b.until(t, button+`?.getAttribute('aria-disabled') === 'false'`)
	b.do(t, chromedp.Evaluate(button+`.click()`, nil))
}

// check fails the test for what axe-core finds, for errors in the console, and for a page that
// is wider than its window.
func (b *tab) check(t *testing.T) {
	t.Helper()
	axe, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Fatalf("%v: run the tests by \"make browser\"", err)
	}
	var found string
	b.do(t, chromedp.Evaluate(string(axe)+"; null", nil), chromedp.Evaluate(
		`axe.run(document, {resultTypes: ['violations']}).then((r) => JSON.stringify(r.violations.flatMap(
			(v) => v.nodes.map((n) => v.id + ' ' + n.html.slice(0, 160) + ' ' + n.failureSummary))))`,
		&found, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	var violations []string
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Errorf("axe-core: %s", v)
	}
	var wide bool
	b.do(t, chromedp.Evaluate(`document.documentElement.scrollWidth > innerWidth + 1`, &wide))
	if wide {
		t.Error("the page is wider than its window")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		t.Errorf("console: %s", c)
	}
	b.complaints = nil
}

// shoot keeps a picture of the page where KUDA_SCREENSHOTS names a directory.
func (b *tab) shoot(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("KUDA_SCREENSHOTS")
	if dir == "" {
		return
	}
	var picture []byte
	b.do(t, chromedp.FullScreenshot(&picture, 100))
	if err := os.WriteFile(filepath.Join(dir, strings.ReplaceAll(name, "/", "-")+".png"), picture, 0o644); err != nil {
		t.Fatal(err)
	}
}
