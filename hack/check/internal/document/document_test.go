// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package document

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
	"github.com/kuda-io/kuda/hack/check/internal/tree"
)

func TestALinkThatLeadsNowhereIsFound(t *testing.T) {
	const other = "# Other\n\n## What `version` means, *now*\n\n## Twice\n\n## Twice\n\n<a id=\"own\"></a>\n\n" +
		"## 版本（version）的含义\n"
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{name: "a page", text: "[a](other.md) ![b](images/a.svg)"},
		{name: "a directory", text: "[a](images) [b](../docs/)"},
		{name: "a page that is not there", text: "[a](gone.md)", want: []string{`"gone.md" leads nowhere: there is no docs/gone.md`}},
		{name: "an image that is not there", text: "![a](images/gone.svg)",
			want: []string{`"images/gone.svg" leads nowhere: there is no docs/images/gone.svg`}},
		{name: "an element that is not there", text: `<img alt="x" src="gone.svg">`,
			want: []string{`"gone.svg" leads nowhere: there is no docs/gone.svg`}},
		{name: "out of the repository", text: "[a](../../x.md)", want: []string{`"../../x.md" leads nowhere: there is no ../x.md`}},
		{name: "an absolute path", text: "[a](/docs/other.md)",
			want: []string{`"/docs/other.md" begins with a slash: write the path from this page`}},
		{name: "headings", text: "[a](other.md#what-version-means-now) [b](other.md#twice-1) [c](other.md#own)"},
		{name: "a Chinese heading", text: "[d](other.md#版本version的含义)"},
		{name: "an escaped heading", text: "[d](other.md#%E7%89%88%E6%9C%ACversion%E7%9A%84%E5%90%AB%E4%B9%89)"},
		{name: "an own heading", text: "# Page one\n[a](#page-one)"},
		{name: "a heading that is not there", text: "x\n[a](other.md#twic)",
			want: []string{`"other.md#twic" leads nowhere: docs/other.md has no heading with the anchor "twic"; is it "twice"?`}},
		{name: "an own heading that is not there", text: "[a](#x-y)",
			want: []string{`"#x-y" leads nowhere: docs/page.md has no heading with the anchor "x-y"`}},
		{name: "a part of a file that is no page", text: "[a](images/a.svg#L3)"},
		{name: "another host", text: "[a](https://example.com/gone) [b](mailto:a@example.com) [c](//example.com/x)"},
		{name: "code", text: "`[a](gone.md)` and ``[`b`](gone.md)``\n```\n[c](gone.md)\n```\n~~~sh\n```\n[d](gone.md)\n~~~\n"},
		{name: "a code span over two lines", text: "`one\n[a](gone.md)`"},
		{name: "a comment", text: "<!-- [a](gone.md)\n[b](gone.md) --> <!-- x -->"},
		{name: "a link with code as its text", text: "[`a[0]`](gone.md)", want: []string{`"gone.md" leads nowhere: there is no docs/gone.md`}},
		{name: "a link after a comment", text: "<!-- x --> [a](gone.md)", want: []string{`"gone.md" leads nowhere: there is no docs/gone.md`}},
		{name: "a single backtick", text: "a ` b\n\n[a](gone.md) `", want: []string{`"gone.md" leads nowhere: there is no docs/gone.md`}},
		{name: "a definition", text: "[a]\n\n[a]: gone.md", want: []string{`"gone.md" leads nowhere: there is no docs/gone.md`}},
		{name: "a title and brackets", text: `[a](other.md "title") [b](<other.md>) [c](gone(1).md)`,
			want: []string{`"gone(1).md" leads nowhere: there is no docs/gone(1).md`}},
		{name: "a text of two lines", text: "[a\nb](gone.md)", want: []string{`"gone.md" leads nowhere: there is no docs/gone.md`}},
		{name: "a wrong escape", text: "[a](%zz.md)", want: []string{`"%zz.md" is not a link: escape what does not belong into one`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := []tree.File{{Path: "docs/page.md", Text: tc.text}, {Path: "docs/other.md", Text: other}}
			got := messages(CheckLinks(files, []string{"docs/page.md", "docs/other.md", "docs/images/a.svg"}))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAFindingNamesPageAndLine(t *testing.T) {
	files := []tree.File{{Path: "a.md", Text: "x\n\n```\ny\n```\n[a](b.md)\n"}, {Path: "testdata/c.md", Text: "[a](b.md)"}}
	got := CheckLinks(files, []string{"a.md"})
	if len(got) != 1 || got[0].Where != "a.md:6" || got[0].ID != "link" {
		t.Errorf("got %+v", got)
	}
}

const original = "# Page\n\nText.\n\n## Part\n\n```sh\nrun   # a comment\nstop\n```\n"

// originalLine is what a translation of original begins with.
const originalLine = "<!-- follows docs/page.md 05ee874c9012 -->"

func TestATranslationFollowsItsOriginal(t *testing.T) {
	const body = "# 页面\n\n文字。\n\n## 部分\n\n```sh\nrun   # a comment\nstop\n```\n"
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{name: "current", text: originalLine + "\n" + body},
		{name: "no first line", text: body, want: []string{
			"translation docs/zh-CN/page.md: its first line does not say what it follows: it must be\n      " + originalLine}},
		{name: "a short hash", text: "<!-- follows docs/page.md 8e0d -->\n" + body, want: []string{
			"translation docs/zh-CN/page.md: its first line does not say what it follows: it must be\n      " + originalLine}},
		{name: "another page", text: "<!-- follows docs/other.md 05ee874c9012 -->\n" + body, want: []string{
			"translation docs/zh-CN/page.md:1: it follows docs/other.md by its first line, and docs/page.md by its name"}},
		{name: "an earlier state", text: "<!-- follows docs/page.md 000000000000 -->\n" + body, want: []string{
			"stale-translation docs/zh-CN/page.md: docs/page.md has changed since 000000000000: bring the page up to date " +
				"(git log -p docs/page.md shows what changed), then make its first line\n      " + originalLine}},
		{name: "an earlier state with another level and another block",
			text: "<!-- follows docs/page.md 000000000000 -->\n" + strings.Replace(strings.Replace(body, "## ", "### ", 1), "stop", "halt", 1),
			want: []string{
				"stale-translation docs/zh-CN/page.md: docs/page.md has changed since 000000000000: bring the page up to date " +
					"(git log -p docs/page.md shows what changed), then make its first line\n      " + originalLine +
					"\n      docs/zh-CN/page.md:6: the heading \"部分\" has level 3; \"Part\", in line 5 of docs/page.md, has level 2" +
					"\n      docs/zh-CN/page.md:10: the block of code differs from that of docs/page.md, line 9: copy it as it is, with its comments"}},
		{name: "another level", text: originalLine + "\n" + strings.Replace(body, "## ", "### ", 1), want: []string{
			`translation docs/zh-CN/page.md:6: the heading "部分" has level 3; "Part", in line 5 of docs/page.md, has level 2`}},
		{name: "a heading less", text: originalLine + "\n" + strings.Replace(body, "## 部分\n", "", 1), want: []string{
			`translation docs/zh-CN/page.md: it has 1 headings, and docs/page.md has 2: "Part", in line 5 there, is missing`}},
		{name: "a heading more", text: originalLine + "\n" + body + "\n## 更多\n", want: []string{
			`translation docs/zh-CN/page.md:13: the heading "更多" is one more than docs/page.md has`}},
		{name: "a translated comment", text: originalLine + "\n" + strings.Replace(body, "a comment", "注释", 1), want: []string{
			"translation docs/zh-CN/page.md:9: the block of code differs from that of docs/page.md, line 8: copy it as it is, with its comments"}},
		{name: "another language of the block", text: originalLine + "\n" + strings.Replace(body, "```sh", "```bash", 1), want: []string{
			"translation docs/zh-CN/page.md:8: the block of code differs from that of docs/page.md, line 7: copy it as it is, with its comments"}},
		{name: "a block less", text: originalLine + "\n# 页面\n\n## 部分\n", want: []string{
			"translation docs/zh-CN/page.md: it has 0 blocks of code, and docs/page.md has 1: the one in line 7 there is missing"}},
		{name: "a block more", text: originalLine + "\n" + body + "```\nx\n```\n", want: []string{
			"translation docs/zh-CN/page.md:12: the block of code is one more than docs/page.md has"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := []tree.File{{Path: "docs/page.md", Text: original}, {Path: "docs/zh-CN/page.md", Text: tc.text}}
			var got []string
			for _, f := range CheckTranslations(files) {
				got = append(got, f.ID+" "+f.Where+": "+f.Message)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAPageWithoutATranslationIsFound(t *testing.T) {
	got := CheckTranslations([]tree.File{{Path: "docs/sources/s3.md", Text: "# S3\n"}, {Path: "examples/README.md", Text: "# Examples\n"}})
	want := []exception.Finding{{ID: "untranslated", Where: "docs/sources/s3.md",
		Message: "write docs/zh-CN/sources/s3.md, or say in the exceptions why the page is in English only"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestATranslationOfNoPageIsFound(t *testing.T) {
	got := CheckTranslations([]tree.File{{Path: "docs/zh-CN/gone.md", Text: "# 页面\n"}})
	want := []exception.Finding{{ID: "translation", Where: "docs/zh-CN/gone.md",
		Message: "there is no docs/gone.md that it could be a translation of: remove it, or give it the name of its original"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheTranslatedReadmeFollowsTheReadme(t *testing.T) {
	got := CheckTranslations([]tree.File{{Path: "README.md", Text: "# Kuda\n"}, {Path: "README.zh-CN.md", Text: "# Kuda\n"}})
	if len(got) != 1 || got[0].Where != "README.zh-CN.md" || !strings.Contains(got[0].Message, "<!-- follows README.md ") {
		t.Errorf("got %+v", got)
	}
}

func TestChineseTextIsSetApartFromLatinText(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{name: "apart", text: "一个 Pod，两个 `view`（只读）的 50 % 见 [Pod](a.md) 页，**Data** 与[数据](data.md)。"},
		{name: "a word", text: "一个Pod", want: []string{`"个P": put a space between them`}},
		{name: "a number", text: "50%的", want: []string{`"%的": put a space between them`}},
		{name: "code", text: "两个 `view`的", want: []string{`"x的": put a space between them`}},
		{name: "the text of a link", text: "见[Pod](a.md) 页", want: []string{`"见P": put a space between them`}},
		{name: "a bold word", text: "是**Pod**。", want: []string{`"是P": put a space between them`}},
		{name: "a comma", text: "一个, 两个", want: []string{`"个,": write the full-width mark, such as ， or （`}},
		{name: "brackets", text: "视图 (只读)的", want: []string{`")的": write the full-width mark, such as ， or （`}},
		{name: "code in a block", text: "```\n一个Pod\n```"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, messages(checkSpacing(parse(tree.File{Path: "a.md", Text: tc.text})))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func messages(findings []exception.Finding) []string {
	var list []string
	for _, f := range findings {
		list = append(list, f.Message)
	}
	return list
}
