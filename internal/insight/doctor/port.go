// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/internal/inject"
	"github.com/kuda-io/kuda/internal/insight/advice"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const checkPort = "port"

// crashRestarts is from how many restarts on a container is spoken of.
const crashRestarts = 3

// ending is a container of an injected pod that ends again and again.
type ending struct {
	pod       *corev1.Pod
	container string
	code      int32
	// previous says that another instance has started, or waits to be started, since.
	// The kubelet keeps one log beside that of the present instance.
	previous bool
	// words are the last that it said; empty where nothing is known of them.
	words string
}

// readEndings finds the containers of the application that end again and again.
func (s *subject) readEndings(ctx context.Context, logs lastWords) {
	for _, p := range s.injectedPods() {
		for i := range p.Status.ContainerStatuses {
			c := &p.Status.ContainerStatuses[i]
			ended := c.LastTerminationState.Terminated
			if c.State.Terminated != nil {
				ended = c.State.Terminated
			}
			if c.RestartCount < crashRestarts || c.Ready || ended == nil || ended.ExitCode == 0 {
				continue
			}
			e := ending{pod: p, container: c.Name, code: ended.ExitCode, previous: endedBefore(c), words: ended.Message}
			if e.words == "" && logs != nil && len(s.endings) < maxLogs {
				// Who may not read logs is told to look at them.
				e.words, _ = logs(ctx, p.Namespace, p.Name, c.Name, e.previous)
			}
			s.endings = append(s.endings, e)
		}
	}
}

// checkPorts speaks of pods in which two containers want one port.
func checkPorts(s *subject) []Finding {
	var findings []Finding
	for _, p := range s.injectedPods() {
		if rival := inject.PortRival(p); rival != "" {
			findings = append(findings, Finding{
				Severity: advice.Problem, Check: checkPort, Object: podObject(p),
				What: fmt.Sprintf("container %s declares port %d, on which Kuda's runtime listens in this pod", rival, inject.ServerPort(p)),
				Why: "only one of them can have it; the pod is of an earlier release of Kuda, or the container came from a webhook that is " +
					"called after Kuda's",
				Do: append([]string{"create the pod again, and the runtime takes another port:"}, restartCommands(p)...),
			})
		}
		if runtimeLacksPort(p) {
			findings = append(findings, Finding{
				Severity: advice.Problem, Check: checkPort, Object: podObject(p),
				What: fmt.Sprintf("Kuda's runtime cannot listen on port %d: another container of the pod does", inject.ServerPort(p)),
				Why:  "that container does not declare the port, so that the runtime was not given another one", Do: advisePort(p),
			})
		}
	}
	for _, e := range s.endings {
		findings = append(findings, judgeEnding(e))
	}
	return findings
}

func judgeEnding(e ending) Finding {
	port := inject.ServerPort(e.pod)
	f := Finding{
		Severity: advice.Warning, Check: checkPort, Object: podObject(e.pod),
		What: fmt.Sprintf("container %s ends again and again, with exit code %d", e.container, e.code),
		Why:  "its own log explains it",
		Do: []string{
			logsCommand(e.pod, e.container, e.previous),
			fmt.Sprintf("where it says that port %d is in use, that is by Kuda's runtime: declare the port as a containerPort in the "+
				"pod template", port),
		},
	}
	if port != 0 && saysInUse(e.words) && strings.Contains(e.words, strconv.Itoa(int(port))) {
		f.Severity = advice.Problem
		f.What += fmt.Sprintf(": port %d is in use", port)
		f.Why = "Kuda's runtime listens on it in this pod; the container does not declare it, so that the runtime was not given another one"
		f.Do = advisePort(e.pod)
	}
	return f
}

// advisePort is what to do about a port that two want.
func advisePort(p *corev1.Pod) []string {
	return []string{
		fmt.Sprintf("declare port %d as a containerPort of the application in the pod template: the runtime then takes another one in new "+
			"pods; or set runtimeServerPort in the ConfigMap %s for all pods",
			inject.ServerPort(p), configName),
	}
}

// runtimeLacksPort reports whether the runtime ended because its port was taken.
func runtimeLacksPort(p *corev1.Pod) bool {
	for i := range p.Status.InitContainerStatuses {
		c := &p.Status.InitContainerStatuses[i]
		if c.Name != sidecar.ContainerName || c.Ready {
			continue
		}
		for _, ended := range []*corev1.ContainerStateTerminated{c.State.Terminated, c.LastTerminationState.Terminated} {
			if ended != nil && saysInUse(ended.Message) {
				return true
			}
		}
	}
	return false
}

// saysInUse reports whether a program's words mean that its port is in use.
func saysInUse(words string) bool {
	words = strings.ToLower(words)
	for _, says := range []string{"address already in use", "address in use", "eaddrinuse", "port already in use", "port is already in use"} {
		if strings.Contains(words, says) {
			return true
		}
	}
	return false
}
