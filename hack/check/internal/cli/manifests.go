// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
	"github.com/kuda-io/kuda/hack/check/internal/manifest"
)

func newManifests() *cobra.Command {
	var (
		exceptions        string
		install, injected []string
		score             manifest.KubeScore
	)
	cmd := &cobra.Command{
		Use:   "manifests --exceptions FILE --install FILE... --injected FILE...",
		Short: "Judge what is installed and what is injected",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := exception.Read(exceptions)
			if err != nil {
				return err
			}
			findings, err := judgeInstall(cmd.Context(), score, install)
			if err != nil {
				return err
			}
			for _, file := range injected {
				more, err := judgeInjected(cmd.Context(), score, file)
				if err != nil {
					return err
				}
				findings = append(findings, more...)
			}
			return judge(cmd.OutOrStdout(), list, findings)
		},
	}
	f := cmd.Flags()
	f.StringVar(&exceptions, "exceptions", "", "the reviewed list of exceptions")
	f.StringArrayVar(&install, "install", nil, "manifest that is applied to a cluster; may be repeated")
	f.StringArrayVar(&injected, "injected", nil, "pod as the webhook leaves it; may be repeated")
	f.StringVar(&score.Program, "kube-score", "kube-score", "the program kube-score")
	f.StringVar(&score.Version, "kubernetes-version", "v1.37", "the version of Kubernetes that is judged for")
	mustRequire(cmd, "exceptions", "install", "injected")
	return cmd
}

func judgeInstall(ctx context.Context, score manifest.KubeScore, files []string) ([]exception.Finding, error) {
	var objects []manifest.Object
	for _, file := range files {
		more, err := manifest.ReadInstall(file)
		if err != nil {
			return nil, err
		}
		objects = append(objects, more...)
	}
	findings, err := manifest.CheckPodSecurity(objects)
	if err != nil {
		return nil, err
	}
	findings = append(findings, manifest.CheckRights(objects)...)
	scored, err := score.ScoreInstall(ctx, files)
	return append(findings, scored...), err
}

func judgeInjected(ctx context.Context, score manifest.KubeScore, file string) ([]exception.Finding, error) {
	o, err := manifest.ReadInjected(file)
	if err != nil {
		return nil, err
	}
	findings, err := manifest.CheckPodSecurity([]manifest.Object{o})
	if err != nil {
		return nil, err
	}
	scored, err := score.ScoreInjected(ctx, o)
	return append(findings, scored...), err
}
