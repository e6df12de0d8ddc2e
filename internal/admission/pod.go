// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/inject"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// Pods injects pods at their creation. It is an admission.Handler.
type Pods struct {
	// Cache holds DataSets, LimitRanges and the metadata of namespaces.
	Cache client.Reader
	// Live has DataSets and namespaces that the cache has not heard of yet.
	Live client.Reader
	// Places knows the nodes that hold a pod's data; nil gives no pod a preference.
	Places *Places
	// News is what the replicas of the webhook tell each other of changed DataSets; nil:
	// they do not, so the API server is asked for each pod.
	News News
	// Settings are those in force.
	Settings func() inject.Settings
	// Required says that the requests come from namespaces where a pod must not
	// slip through.
	Required bool
	// Metrics counts outcomes.
	Metrics *Metrics
	// Log tells of failures.
	Log logr.Logger

	// looks shares what Live is asked among the pods of a namespace; nil: each asks.
	looks *looks
}

// News is what the replicas of the webhook tell each other; package news has it.
type News interface {
	// Listen has f called with each namespace that another replica tells of.
	Listen(f func(namespace string))
	// Tell tells the other replicas that a DataSet of the namespace is about to change.
	Tell(ctx context.Context, namespace string)
	// IsComplete reports whether all was heard that others told lately.
	IsComplete() bool
}

// Handle returns the response to one request.
func (p *Pods) Handle(ctx context.Context, req admission.Request) admission.Response {
	switch {
	case req.SubResource == "status" && req.Operation == admissionv1.Update && p.Required:
		return p.handleRelabel(ctx, req) // labels can be changed by that, too
	case req.SubResource != "":
		return admission.Allowed("")
	case req.Operation == admissionv1.Create:
		return p.handleCreate(ctx, req)
	case req.Operation == admissionv1.Update && p.Required:
		return p.handleRelabel(ctx, req)
	}
	return admission.Allowed("")
}

func (p *Pods) handleCreate(ctx context.Context, req admission.Request) admission.Response {
	meta, err := readMeta(req.Object.Raw)
	if err != nil {
		return p.failedResponse(req, p.demandOf(&meta), err)
	}
	by := p.demandOf(&meta)
	response := p.handleNew(ctx, req, &meta, by)
	if by == byAnnotation {
		response = response.WithWarnings(openWarning)
	}
	return response
}

// handleNew returns the response for a new pod.
func (p *Pods) handleNew(ctx context.Context, req admission.Request, meta *podMeta, by demand) admission.Response {
	// The request names the namespace: the object of a pod that a controller
	// creates may leave it out.
	all, err := p.dataSets(ctx, req.Namespace, by != "")
	if err != nil {
		return p.failedResponse(req, by, err)
	}
	dataSets := inject.Selecting(all, meta.Labels)
	if len(dataSets) == 0 && by == byAnnotation && isCopyText(req.Object.Raw) {
		// Older versions of kubectl debug --copy-to keep the annotations of a pod
		// and not its labels.
		p.Metrics.countOutcome(unmatched)
		return p.leaveUnselected(req, "")
	}
	if why := refusalOf(all, dataSets, meta, req.Namespace, by); why != "" {
		p.Metrics.countOutcome(refused)
		return deniedResponse("Kuda refuses this pod: " + why)
	}
	if len(dataSets) == 0 {
		p.Metrics.countOutcome(unmatched)
		return p.leaveUnselected(req, by)
	}
	return p.injectPod(ctx, req, by, dataSets)
}

// refusalOf returns why a pod is refused for what it asks for and hides; empty when it is not.
func refusalOf(all, selecting []*v1alpha1.DataSet, meta *podMeta, namespace string, by demand) string {
	if by == byNamespace {
		if why := checkEvasion(all, meta.Labels); why != "" {
			return why
		}
	}
	if why := checkNamed(all, meta, namespace); why != "" {
		return why
	}
	if len(selecting) == 0 && meta.Labels[v1alpha1.LabelInjection] == v1alpha1.InjectionRequired {
		return fmt.Sprintf("%s, and no DataSet of namespace %s selects it. It can be created once there is one; what creates the pod tries "+
			"again by itself", byLabel, namespace)
	}
	return ""
}

// injectPod returns the response for a pod that these DataSets select.
func (p *Pods) injectPod(ctx context.Context, req admission.Request, by demand, dataSets []*v1alpha1.DataSet) admission.Response {
	pod, crowded, err := readPod(req.Object.Raw)
	switch {
	case err != nil:
		return p.failedResponse(req, by, err)
	case crowded != "":
		return p.skippedResponse(by, dataSets, crowded)
	}
	settings := p.Settings()
	namespace, err := p.readNamespace(ctx, req.Namespace)
	if err != nil {
		return p.withReason(p.failedResponse(req, by, err), pod, settings.DataPath, err.Error())
	}
	preferences, placeErr := p.preferredNodes(ctx, req, settings, dataSets)
	after, skip, err := inject.Inject(inject.Request{
		Pod:         pod,
		Namespace:   namespace,
		DataSets:    dataSets,
		Settings:    settings,
		Preferences: preferences,
	})
	switch {
	case err != nil:
		return p.withReason(p.failedResponse(req, by, err), pod, settings.DataPath, err.Error())
	case skip != "":
		return p.withReason(p.skippedResponse(by, dataSets, skip), pod, settings.DataPath, string(skip))
	}
	p.Metrics.countOutcome(injected)
	p.Metrics.countPlacement(placementOutcome(after, placeErr))
	return p.patchedResponse(req, by, inject.Patch(pod, after)).WithWarnings(inject.Warnings(after, &settings, dataSets)...)
}

// preferredNodes returns the nodes that hold the pod's data. Unknown nodes do not
// delay the pod, so the error is only counted.
func (p *Pods) preferredNodes(ctx context.Context, req admission.Request, settings inject.Settings,
	dataSets []*v1alpha1.DataSet) ([]index.Preference, error) {
	if p.Places == nil || !settings.Affinity {
		return nil, nil
	}
	preferences, err := p.Places.preferredNodes(ctx, req.Namespace, dataSets, string(req.UID))
	if err != nil {
		p.Log.V(1).Info("gave a pod no preference for nodes", "namespace", req.Namespace, "pod", podName(req), "error", err.Error())
	}
	return preferences, err
}

// readNamespace reads what has to be known of the pod's namespace. No pod is made in a
// namespace that is being deleted: if the cache has one of that kind, it has not
// heard yet of the one that was made after it under the same name.
func (p *Pods) readNamespace(ctx context.Context, name string) (inject.Namespace, error) {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := p.Cache.Get(ctx, types.NamespacedName{Name: name}, namespace)
	if apierrors.IsNotFound(err) || err == nil && namespace.DeletionTimestamp != nil {
		err = p.Live.Get(ctx, types.NamespacedName{Name: name}, namespace)
	}
	if err != nil {
		return inject.Namespace{}, fmt.Errorf("reading namespace %s: %w", name, err)
	}
	limits, err := p.limitRanges(ctx, name)
	if err != nil {
		return inject.Namespace{}, err
	}
	return inject.Namespace{Name: name, UID: namespace.UID, Labels: namespace.Labels, Annotations: namespace.Annotations,
		Created: namespace.CreationTimestamp.Time, LimitRanges: limits}, nil
}

// limitRanges returns those of a namespace that the cache has. The objects are shared
// and must not be changed.
func (p *Pods) limitRanges(ctx context.Context, namespace string) ([]*corev1.LimitRange, error) {
	list := &corev1.LimitRangeList{}
	if err := p.Cache.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the LimitRanges of namespace %s: %w", namespace, err)
	}
	var limits []*corev1.LimitRange
	for i := range list.Items {
		limits = append(limits, &list.Items[i])
	}
	return limits, nil
}

func (p *Pods) patchedResponse(req admission.Request, by demand, ops []inject.Operation) admission.Response {
	if len(ops) == 0 {
		return admission.Allowed("")
	}
	patch, err := json.Marshal(ops)
	if err != nil {
		return p.failedResponse(req, by, fmt.Errorf("encoding the change of the pod: %w", err))
	}
	return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{
		Allowed:   true,
		Patch:     patch,
		PatchType: new(admissionv1.PatchTypeJSONPatch),
	}}
}

// skippedResponse returns the response for a pod that Kuda does not inject although a DataSet selects it.
func (p *Pods) skippedResponse(by demand, dataSets []*v1alpha1.DataSet, why inject.Skip) admission.Response {
	p.Metrics.countOutcome(skipped)
	if by != "" {
		return deniedResponse(fmt.Sprintf("Kuda refuses this pod: %s and %s it, but %s; change that, or the "+
			"labels that it is selected by",
			by, selectedBy(dataSets), why))
	}
	return admission.Allowed("").WithWarnings("Kuda delivers no data to this pod: " + string(why))
}

// withReason returns the response with the reason written into the pod, where it is
// admitted and does not show the reason itself: the creator of a pod, mostly a
// controller, does not pass warnings on.
func (p *Pods) withReason(response admission.Response, pod *corev1.Pod, dataPath, why string) admission.Response {
	if !response.Allowed || inject.Obstacle(pod, dataPath) != "" {
		return response
	}
	patch, err := json.Marshal(inject.Mark(pod.Annotations, why))
	if err != nil {
		return response // strings always marshal
	}
	if len(inject.Disclaim(pod.Annotations)) > 0 {
		response = response.WithWarnings(claimWarning)
	}
	response.Patch, response.PatchType = patch, new(admissionv1.PatchTypeJSONPatch)
	return response
}

// failedResponse returns the response for a pod that should have been injected and could not be.
func (p *Pods) failedResponse(req admission.Request, by demand, err error) admission.Response {
	p.Metrics.countOutcome(failed)
	if by != "" {
		return deniedResponse(fmt.Sprintf("Kuda cannot inject this pod, and %s: %s", by, err))
	}
	if errors.Is(err, errUnreadable) {
		// Strangers must not be able to fill the log.
		p.Log.V(1).Info("admitted what is no pod", "error", err.Error())
	} else {
		p.Log.Error(err, "admitted a pod without its data", "namespace", req.Namespace, "pod", podName(req))
	}
	return admission.Allowed("").WithWarnings("Kuda delivers no data to this pod: " + err.Error())
}

func deniedResponse(message string) admission.Response {
	return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{
		Result: &metav1.Status{Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: message},
	}}
}
