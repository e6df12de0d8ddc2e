// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/kuda-io/kuda/internal/insight/advice"
)

const (
	checkWebhook = "webhook"
	checkProbing = "webhook-answers"
)

// expirySoon is how long before its end a certificate is spoken of. The next one
// is made long before that, by kuda-manager.
const expirySoon = 30 * 24 * time.Hour

// hook is one entry of a webhook configuration.
type hook struct {
	name string
	ca   []byte
}

func checkWebhooks(in *installation) []Finding {
	var hooks []hook
	var findings []Finding
	pods := &Object{Kind: "MutatingWebhookConfiguration", Name: webhookConfigName}
	if in.mutating.err != nil {
		findings = append(findings, unreadFinding(checkWebhook, pods, in.mutating.err, missingWebhook(pods)))
	} else {
		for i := range in.mutating.value.Webhooks {
			w := &in.mutating.value.Webhooks[i]
			hooks = append(hooks, hook{w.Name, w.ClientConfig.CABundle})
		}
		findings = append(findings, in.judgeHooks(pods, hooks))
	}
	sets := &Object{Kind: "ValidatingWebhookConfiguration", Name: webhookConfigName}
	if in.validating.err != nil {
		return append(findings, unreadFinding(checkWebhook, sets, in.validating.err, missingWebhook(sets)))
	}
	// The bundle of the other configuration is the one to match.
	var own []hook
	for i := range in.validating.value.Webhooks {
		w := &in.validating.value.Webhooks[i]
		own = append(own, hook{w.Name, w.ClientConfig.CABundle})
	}
	f := in.judgeHooks(sets, own)
	if f.Severity == advice.OK && len(hooks) > 0 && !bytes.Equal(hooks[0].ca, own[0].ca) {
		f = in.differingCAs(sets, hooks[0].name, own[0].name)
	}
	return append(findings, f)
}

func missingWebhook(o *Object) *Finding {
	return &Finding{
		Severity: advice.Problem, Check: checkWebhook, Object: o, What: "is not there",
		Why: "the API server calls no webhook for new pods and DataSets, so no pod gets the runtime", Do: []string{"install it again:", install},
	}
}

// restoreCA is what to do where a bundle is not as it should be.
func (in *installation) restoreCA() []string {
	return []string{
		"kuda-webhook writes the caBundle; see whether it runs, and what it says:",
		"kubectl logs -n " + in.namespace + " deployment/" + webhookName + " --all-pods --tail 50",
	}
}

func (in *installation) differingCAs(o *Object, one, other string) Finding {
	return Finding{
		Severity: advice.Problem, Check: checkWebhook, Object: o, What: fmt.Sprintf("%s and %s trust different CAs", one, other),
		Why: "one of them does not match the CA of the installation, so calls of it fail", Do: in.restoreCA(),
	}
}

func (in *installation) judgeHooks(o *Object, hooks []hook) Finding {
	f := Finding{Severity: advice.Problem, Check: checkWebhook, Object: o, Do: in.restoreCA()}
	if len(hooks) == 0 {
		f.What, f.Why = "has no webhook", "it was emptied"
		f.Do = []string{"install it again:", install}
		return f
	}
	for _, h := range hooks {
		last, err := lastExpiry(h.ca)
		switch {
		case err != nil:
			f.What, f.Why = fmt.Sprintf("%s: %v", h.name, err), "without a CA to trust, the API server cannot call the webhook"
			return f
		case !last.After(in.now):
			f.What, f.Why = fmt.Sprintf("%s: the CA expired at %s", h.name, last.UTC().Format(time.DateTime)),
				"the API server refuses the webhook's certificate"
			return f
		case !bytes.Equal(h.ca, hooks[0].ca):
			return in.differingCAs(o, hooks[0].name, h.name)
		}
	}
	last, _ := lastExpiry(hooks[0].ca)
	if left := last.Sub(in.now); left < expirySoon {
		f.Severity, f.What = advice.Warning, fmt.Sprintf("the CA expires in %d days", int(left.Hours()/24))
		f.Why = "kuda-manager makes the next one after two thirds of a CA's life, so its rotation does not work"
		f.Do = []string{"kubectl logs -n " + in.namespace + " deployment/" + managerName + " --all-pods --tail 200"}
		return f
	}
	return okFinding(checkWebhook, o, "trusts one CA, which is valid until %s", last.UTC().Format(time.DateOnly))
}

// lastExpiry returns when the last certificate of a bundle expires.
func lastExpiry(bundle []byte) (time.Time, error) {
	var last time.Time
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return last, fmt.Errorf("the caBundle cannot be read: %w", err)
		}
		if certificate.NotAfter.After(last) {
			last = certificate.NotAfter
		}
	}
	if last.IsZero() {
		return last, fmt.Errorf("the caBundle has no certificate")
	}
	return last, nil
}

// refusedBy is in what the API server answers when the webhook refused.
const refusedBy = `admission webhook "datasets.kuda.io" denied`

// checkProbe looks at what became of a DataSet that only the webhook refuses.
// It proves the whole way: that the API server reaches the webhook, and that
// the CA that it trusts matches the webhook's certificate.
func checkProbe(in *installation) []Finding {
	switch {
	case in.probe == nil:
		return []Finding{{
			Severity: advice.Problem, Check: checkProbing,
			What: "the API server gets no answer from kuda-webhook: a DataSet that it refuses was let through (dry run)",
			Why:  "the API server cannot reach the webhook, or does not trust its certificate; new pods do not get the runtime",
			Do: append([]string{
				fmt.Sprintf("kubectl get pods,endpointslices -n %s -l app.kubernetes.io/name=%s", in.namespace, webhookName),
			}, in.restoreCA()...),
		}}
	case strings.Contains(in.probe.Error(), refusedBy):
		return []Finding{okFinding(checkProbing, nil, "the API server reaches kuda-webhook and trusts its certificate (dry run)")}
	case meta.IsNoMatchError(in.probe):
		return nil // the CRD's own finding says it
	case isForbidden(in.probe):
		return []Finding{{
			Severity: Unknown, Check: checkProbing, What: "you may not create DataSets, so whether the webhook answers was not tried (dry run)",
			Do: []string{"name a namespace by -n in which you may"},
		}}
	}
	return []Finding{{Severity: Unknown, Check: checkProbing,
		What: "whether the webhook answers could not be tried (dry run): " + in.probe.Error()}}
}
