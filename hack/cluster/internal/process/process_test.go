// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == LaunchArgument {
		os.Exit(Main())
	}
	os.Exit(m.Run())
}

func TestProgramNamesWithParenthesesDoNotShiftTheStartTime(t *testing.T) {
	line := "42 (a) R (b c) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 1"
	got, err := parseStat(line)
	if err != nil {
		t.Fatal(err)
	}
	if want := (stat{state: 'S', start: 987654}); got != want {
		t.Errorf("parseStat = %+v, want %+v", got, want)
	}
	for _, bad := range []string{"", "42 (a", "42 (a) S 1 2"} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("parseStat(%q) gave no error", bad)
		}
	}
}

func TestSignalSparesTheNextOwnerOfAnID(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	id, err := Of(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	otherStart, otherBoot := id, id
	otherStart.Start--
	otherBoot.Boot = "a boot long ago"
	for _, stale := range []Identity{otherStart, otherBoot} {
		if stale.Alive() {
			t.Errorf("%+v passes for process %+v", stale, id)
		}
		if err := stale.Signal(unix.SIGKILL); err != nil {
			t.Error(err)
		}
	}
	if !id.Alive() {
		t.Fatal("a stale identity ended another process")
	}
	if err := id.Stop(time.Second); err != nil {
		t.Error(err)
	}
	<-ended
	if id.Alive() {
		t.Error("an ended process passes for alive")
	}
}

func TestStartedProcessIsRecordedLoggedAndHasOnlyItsEnvironment(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HTTPS_PROXY", "http://user-proxy")
	table := NewTable(dir)
	e, err := table.Start(Spec{
		Name: "node1/shell",
		Argv: []string{"sh", "-c", "env; echo to stderr >&2; exec sleep 60"},
		Env:  Environment("/nowhere", "EXTRA=1"),
		Log:  filepath.Join(dir, "logs", "shell.log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Stop(0) })
	if !table.Running("node1/shell") {
		t.Error("the table does not know the process")
	}
	var log string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		body, _ := os.ReadFile(e.Log)
		if log = string(body); strings.Contains(log, "to stderr") {
			break
		}
	}
	if !strings.Contains(log, "EXTRA=1") || strings.Contains(log, "user-proxy") {
		t.Errorf("log is %q", log)
	}
	if err := table.Forget("node1/"); err != nil {
		t.Fatal(err)
	}
	if _, ok := table.Get("node1/shell"); ok {
		t.Error("the table still knows the process")
	}
}

func TestStartSaysWhyAProgramCouldNotStart(t *testing.T) {
	_, err := Start(Spec{Name: "x", Argv: []string{"/nowhere/program"}, Log: filepath.Join(t.TempDir(), "log")})
	if err == nil || !strings.Contains(err.Error(), "/nowhere/program") {
		t.Errorf("err = %v", err)
	}
	_, err = Start(Spec{Name: "x", Argv: []string{"true"}, Env: Environment(""), Log: filepath.Join(t.TempDir(), "log"),
		Place: Place{Cgroups: []string{"/nowhere/group"}}})
	if err == nil || !strings.Contains(err.Error(), "/nowhere/group") {
		t.Errorf("err = %v", err)
	}
}

func TestHalfWrittenRecordDoesNotHideTheOthers(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cut.json"), []byte(`{"name":"cu`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "good.json"), []byte(`{"name":"good","pid":1}`), 0o644); err != nil {
		t.Fatal(err)
	}
	entries, err := NewTable(dir).List()
	if err != nil || len(entries) != 1 || entries[0].Name != "good" {
		t.Errorf("List = %v, %v", entries, err)
	}
}
