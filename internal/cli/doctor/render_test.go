// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/cli/golden"
	"github.com/kuda-io/kuda/internal/insight/advice"
	"github.com/kuda-io/kuda/internal/insight/doctor"
)

func TestFindingsFitTheScreenAndCommandsStayWhole(t *testing.T) {
	report := doctor.NewReport([]doctor.Finding{
		{Severity: advice.OK, Check: "dataset", Object: &doctor.Object{Kind: "DataSet", Namespace: "shop", Name: "models"},
			What: "the rollout of models-2 is Completed"},
		{
			Severity: advice.Problem, Object: &doctor.Object{Kind: "Data", Namespace: "shop", Name: "models-web-0"},
			What: "pod web-0: NotFound: s3://models/模型/第九版/词典一.bin: 文件不存在，请检查路径",
			Why:  "nothing is stored at the item's remotePath, or the bucket does not exist",
			Do:   []string{"compare remotePath with what is stored:", "kubectl kuda diff models -n shop --from models-1 --to models-2"},
		},
	})
	for _, width := range []int{120, 80, 24} {
		var b strings.Builder
		if err := renderReport(&b, frame.Screen{Width: width}, report); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSuffix(line, "\n")
			if frame.Width(line) > width && !strings.Contains(line, "kubectl ") {
				t.Errorf("%d cells on a screen of %d: %q", frame.Width(line), width, line)
			}
		}
		golden.Compare(t, fmt.Sprintf("width-%d.txt", width), b.String())
	}
}
