// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcekind_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/cel"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	webhook "sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/yaml"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/admission"
	"github.com/kuda-io/kuda/internal/admission/author"
	"github.com/kuda-io/kuda/internal/cli/doctor"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/delivery/sourceconfig"
	"github.com/kuda-io/kuda/internal/domain/convert"
	"github.com/kuda-io/kuda/internal/domain/item"
	"github.com/kuda-io/kuda/internal/domain/sourcekind"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/inject"
)

const root = "../../../"

// sample is a DataSet with one source, every field of which is set.
type sample struct {
	kind    string
	dataSet *v1alpha1.DataSet
	source  sourcekind.Source
	message *gatewayv1alpha1.Source
	// want is what the types of the fields say that the source refers to, and
	// addresses are what their names say.
	want      []sourcekind.Reference
	addresses []string
}

// filler sets fields to words of which each is used once.
type filler struct {
	count int
	// end makes names of objects that no object can have.
	end       string
	want      []sourcekind.Reference
	addresses []string
}

func (f *filler) word() string {
	f.count++
	return fmt.Sprintf("w%02dw%s", f.count, f.end)
}

// refer notes what a field refers to by its type or name.
func (f *filler) refer(name string, v reflect.Value) {
	var r sourcekind.Reference
	switch of := v.Interface().(type) {
	case v1alpha1.SecretReference:
		r = sourcekind.Reference{Kind: sourcekind.Secret, Name: of.Name}
	case v1alpha1.KeytabReference:
		r = sourcekind.Reference{Kind: sourcekind.Secret, Name: of.Name}
	case v1alpha1.CAReference:
		r = sourcekind.Reference{Kind: sourcekind.ConfigMap, Name: of.Name}
	case v1alpha1.Krb5ConfReference:
		r = sourcekind.Reference{Kind: sourcekind.ConfigMap, Name: of.Name}
	case v1alpha1.WebIdentity:
		r = sourcekind.Reference{Kind: sourcekind.Audience, Name: of.Audience}
	case v1alpha1.InstanceCredentials:
		r = sourcekind.Reference{Kind: sourcekind.Instance}
	case []string:
		f.addresses = append(f.addresses, of...)
		return
	case string:
		switch name {
		case "ClaimName":
			r = sourcekind.Reference{Kind: sourcekind.Claim, Name: of}
		case "Endpoint", "Host", "Proxy", "Registry", "STSEndpoint", "URL":
			f.addresses = append(f.addresses, of)
			return
		default:
			return
		}
	default:
		return
	}
	f.want = append(f.want, r)
}

func (f *filler) fill(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	if q, ok := v.Addr().Interface().(*resource.Quantity); ok {
		*q = resource.MustParse("1Mi")
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(t, name, v.Elem())
		return
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(t, v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.String:
		v.SetString(f.word())
	case reflect.Slice:
		v.Set(reflect.ValueOf([]string{f.word() + ":8020"}))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{f.word(): f.word()}))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32:
		v.SetInt(7)
	default:
		t.Fatalf("%s: fill fields of kind %s too", name, v.Kind())
	}
	f.refer(name, v)
}

// samples returns one for each field of the API's DataSources. It fails for a field
// that has no entry in the table.
func samples(t *testing.T, end string) []sample {
	t.Helper()
	var all []sample
	for i := range reflect.TypeFor[v1alpha1.DataSources]().NumField() {
		tag, _, _ := strings.Cut(reflect.TypeFor[v1alpha1.DataSources]().Field(i).Tag.Get("json"), ",")
		kind := v1alpha1.DataSourceType(tag)
		d := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "models"}}
		d.Spec.WorkloadSelector = map[string]string{"app": "models"}
		d.Spec.Template.DataItems = []v1alpha1.DataItem{{Namespace: "shop", Name: "a", Version: "v1", RemotePath: "r", LocalPath: "l",
			DataSourceType: kind}}
		f := &filler{end: end}
		f.fill(t, tag, reflect.ValueOf(&d.Spec.Template.DataSources).Elem().Field(i))
		described := sourcekind.Describe(&d.Spec.Template.DataSources, nil)
		if len(described) != 1 || described[0].Kind != kind {
			t.Errorf("%s: the table has %d entries; add one to kinds.go", kind, len(described))
			continue
		}
		_, messages := convert.Contents(d.Spec.Template.DataItems, &d.Spec.Template.DataSources)
		if len(messages) != 1 || messages[0].GetName() != tag || messages[0].GetConfig() == nil {
			t.Fatalf("%s: the runtime is told %v", kind, messages)
		}
		all = append(all, sample{kind: tag, dataSet: d, source: described[0], message: messages[0], want: f.want, addresses: f.addresses})
	}
	return all
}

// TestEveryKindIsKnownToEveryReader fails for a kind of the API without an entry in the
// table, and for one that a reader of the table does not handle.
func TestEveryKindIsKnownToEveryReader(t *testing.T) {
	for _, s := range samples(t, "") {
		t.Run(s.kind, func(t *testing.T) {
			s.checkReferences(t)
			s.checkSchema(t)
			s.checkAdmission(t)
			s.checkRights(t)
			s.checkInjection(t)
			s.checkMessage(t)
			s.checkMark(t)
			s.checkDoctor(t)
			s.checkOpening(t)
		})
	}
}

// checkReferences compares the entry with the types of the API's fields.
func (s sample) checkReferences(t *testing.T) {
	refersTo := func(want sourcekind.Reference) bool {
		return slices.ContainsFunc(s.source.References, func(r sourcekind.Reference) bool { return r.Kind == want.Kind && r.Name == want.Name })
	}
	for _, want := range s.want {
		if !refersTo(want) {
			t.Errorf("the entry does not have the %s %q", want.Kind, want.Name)
		}
	}
	for _, address := range s.addresses {
		servers := s.source.ReferencesTo(sourcekind.HTTPServer, sourcekind.OtherServer, sourcekind.TokenServer)
		if !slices.ContainsFunc(servers, func(r sourcekind.Reference) bool { return r.Name == address }) {
			t.Errorf("the entry does not have the address %q", address)
		}
	}
	for _, r := range s.source.References {
		if raw, err := json.Marshal(s.source.Block); err != nil || !strings.Contains(string(raw), r.Name) || r.Field == nil {
			t.Errorf("%v is not of the description %s: %v", r, raw, err)
		}
	}
	if len(s.source.Problems) > 0 {
		t.Errorf("problems of a good source: %v", s.source.Problems)
	}
}

// checkSchema looks for the rules that stand outside of the field.
func (s sample) checkSchema(t *testing.T) {
	crd, err := os.ReadFile(root + "deploy/base/crd/data.kuda.io_datasets.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(crd)), " ")
	for _, want := range []string{"enum: - hdfs", " - " + s.kind + " ",
		"i.dataSourceType != '" + s.kind + "' || has(self.dataSources." + s.kind + ")"} {
		if !strings.Contains(text, want) {
			t.Errorf("the schema has no %q", want)
		}
	}
}

func (s sample) request(t *testing.T) webhook.Request {
	t.Helper()
	raw, err := json.Marshal(s.dataSet)
	if err != nil {
		t.Fatal(err)
	}
	return webhook.Request{AdmissionRequest: admissionv1.AdmissionRequest{Operation: admissionv1.Create, Namespace: "shop",
		Object: runtime.RawExtension{Raw: raw}}}
}

func (s sample) checkAdmission(t *testing.T) {
	handler := &admission.DataSets{Settings: func() inject.Settings { return inject.Settings{} }}
	response := handler.Handle(t.Context(), s.request(t))
	if !response.Allowed {
		t.Errorf("a good source is refused: %v", response.Result)
	}
	for _, bad := range samples(t, "_BAD!") {
		if bad.kind != s.kind {
			continue
		}
		if s.source.Limits != nil {
			limits := sourcekind.Describe(&bad.dataSet.Spec.Template.DataSources, nil)[0].Limits
			*limits.BytesPerSecond = resource.MustParse("1")
		}
		response := handler.Handle(t.Context(), bad.request(t))
		said := ""
		if response.Result != nil {
			said = response.Result.Message
		}
		for _, r := range bad.source.ReferencesTo(sourcekind.Secret, sourcekind.ConfigMap, sourcekind.Claim) {
			if !strings.Contains(said, "spec.template.dataSources."+r.Field.String()) {
				t.Errorf("a name that no %s can have is not refused: %s", r.Kind, said)
			}
		}
		if s.source.Limits != nil && !strings.Contains(said, s.kind+".limits.bytesPerSecond") {
			t.Errorf("a limit that times requests out is not refused: %s", said)
		}
	}
}

// checkRights wants a right for everything that is used, and the webhook to be asked.
func (s sample) checkRights(t *testing.T) {
	needs := author.Needs(author.Change{New: s.dataSet})
	for _, r := range s.want {
		object := map[sourcekind.ReferenceKind]string{sourcekind.Secret: "secrets", sourcekind.ConfigMap: "configmaps",
			sourcekind.Claim: "persistentvolumeclaims"}[r.Kind]
		needed := slices.ContainsFunc(needs, func(n author.Need) bool { return n.Right.Resource == object && n.Right.Name == r.Name })
		if object != "" && !needed {
			t.Errorf("no right for the %s %s: %v", r.Kind, r.Name, needs)
		}
	}
	if len(s.want) > 0 && len(needs) == 0 {
		t.Error("what the source refers to needs no right")
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(s.dataSet)
	if err != nil {
		t.Fatal(err)
	}
	if len(needs) > 0 && !asksForRights(t, object) {
		t.Error("the match conditions of dataset-authors.kuda.io let it pass")
	}
}

// asksForRights reports whether the match conditions of the webhook's entry let a new
// DataSet through to it.
func asksForRights(t *testing.T, object map[string]any) bool {
	t.Helper()
	raw, err := os.ReadFile(root + "deploy/base/webhook/validating.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var configuration admissionregistrationv1.ValidatingWebhookConfiguration
	if err := yaml.Unmarshal(raw, &configuration); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(configuration.Webhooks,
		func(w admissionregistrationv1.ValidatingWebhook) bool { return w.Name == "dataset-authors.kuda.io" })
	env, err := cel.NewEnv(cel.Variable("object", cel.DynType), cel.Variable("oldObject", cel.DynType), cel.Variable("request", cel.DynType))
	if err != nil {
		t.Fatal(err)
	}
	for _, condition := range configuration.Webhooks[at].MatchConditions {
		ast, issues := env.Compile(condition.Expression)
		if issues.Err() != nil {
			t.Fatal(issues.Err())
		}
		program, err := env.Program(ast)
		if err != nil {
			t.Fatal(err)
		}
		result, _, err := program.Eval(map[string]any{"object": object, "oldObject": nil, "request": map[string]any{"operation": "CREATE"}})
		if err != nil {
			t.Fatalf("%s: %v", condition.Name, err)
		}
		if result.Value() != true {
			return false
		}
	}
	return true
}

// A kind that the match conditions do not name is asked about whatever it refers to.
func TestSourcesOfAnUnknownKindAreAskedAbout(t *testing.T) {
	for kind, want := range map[string]bool{"http": false, "alluxio": false, "future": true} {
		object := map[string]any{"spec": map[string]any{"template": map[string]any{
			"dataItems": []any{}, "dataSources": map[string]any{kind: map[string]any{"url": "http://h"}},
		}}}
		if got := asksForRights(t, object); got != want {
			t.Errorf("%s: %t", kind, got)
		}
	}
}

// checkInjection looks for all that the source refers to among the pod's volumes.
func (s sample) checkInjection(t *testing.T) {
	settings := inject.Settings{Image: "runtime", HostPath: "/var/lib/kuda", DataPath: "/kuda/data", ServerPort: 8888, Store: inject.StoreAuto,
		Plugins: map[string]inject.Plugin{}}
	for _, r := range s.source.References {
		switch r.Kind {
		case sourcekind.Audience:
			settings.Audiences.Allowed = append(settings.Audiences.Allowed, r.Name)
		case sourcekind.Plugin:
			settings.Plugins[r.Name] = inject.Plugin{Image: "plugin"}
		}
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: s.dataSet.Spec.WorkloadSelector},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app"}}}}
	injected, skip, err := inject.Inject(inject.Request{Pod: pod, Namespace: inject.Namespace{Name: "shop", UID: "u"},
		DataSets: []*v1alpha1.DataSet{s.dataSet}, Settings: settings})
	if err != nil || injected == nil {
		t.Fatalf("injecting: %s, %v", skip, err)
	}
	for _, want := range s.want {
		mounted := want.Kind == sourcekind.Instance || slices.ContainsFunc(injected.Spec.Volumes, func(v corev1.Volume) bool {
			switch want.Kind {
			case sourcekind.Secret:
				return v.Secret != nil && v.Secret.SecretName == want.Name
			case sourcekind.ConfigMap:
				return v.ConfigMap != nil && v.ConfigMap.Name == want.Name
			case sourcekind.Claim:
				return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == want.Name
			case sourcekind.Audience:
				return v.Projected != nil && v.Projected.Sources[0].ServiceAccountToken.Audience == want.Name
			}
			return false
		})
		if !mounted {
			t.Errorf("%s %s is not a volume of the pod", want.Kind, want.Name)
		}
	}
}

// checkMessage wants every setting of the API in the message.
func (s sample) checkMessage(t *testing.T) {
	block, err := json.Marshal(s.source.Block)
	if err != nil {
		t.Fatal(err)
	}
	var settings any
	if err := json.Unmarshal(block, &settings); err != nil {
		t.Fatal(err)
	}
	told := protojson.Format(s.message)
	var visit func(any)
	visit = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, inner := range v {
				visit(inner)
			}
		case []any:
			for _, inner := range v {
				visit(inner)
			}
		default:
			if !strings.Contains(told, fmt.Sprint(v)) {
				t.Errorf("%v does not reach the runtime: %s", v, told)
			}
		}
	}
	visit(settings)
	if s.source.Limits != nil && s.message.GetLimits().GetConnections() != 7 {
		t.Errorf("the limits do not reach the runtime: %v", s.message.GetLimits())
	}
}

// checkMark wants a mark that goes by the settings and not by the source's name.
func (s sample) checkMark(t *testing.T) {
	renamed := proto.CloneOf(s.message)
	renamed.Name = "other"
	i := &gatewayv1alpha1.Item{RemotePath: "r", Version: "v1"}
	if item.Mark(i, s.message) != item.Mark(i, renamed) {
		t.Error("the mark goes by the name; give fields of the message an identity")
	}
	used := slices.ContainsFunc(s.want, func(r sourcekind.Reference) bool { return r.Kind != sourcekind.ConfigMap })
	if used && !item.UsesMounts(s.message) {
		t.Error("whoever asks may choose where its credentials go; mark the fields of the message")
	}
}

// checkDoctor wants every object that is not there among the findings.
func (s sample) checkDoctor(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(kubeconfig,
		[]byte(`{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c"}}],`+
			`"clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:1"}}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", kubeconfig)
	var out bytes.Buffer
	f := frame.New(frame.Streams{Out: &out, ErrOut: &out})
	f.Connect = func() (client.WithWatch, error) {
		return fake.NewClientBuilder().WithScheme(frame.Scheme()).WithObjects(s.dataSet).Build(), nil
	}
	cmd := doctor.Command(f)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	f.AddFlags(cmd.Flags())
	cmd.SetArgs([]string{"models", "-n", "shop"})
	cmd.SetContext(t.Context())
	if err := cmd.Execute(); err != nil && frame.Code(err) == frame.ExitError {
		t.Fatal(err)
	}
	for _, want := range s.want {
		if object := string(want.Kind) + " shop/" + want.Name; want.Kind != sourcekind.Audience && want.Kind != sourcekind.Instance &&
			!strings.Contains(out.String(), object) {
			t.Errorf("doctor does not look for %s:\n%s", object, out.String())
		}
	}
}

// checkOpening wants a driver; whether it takes the words is another question.
func (s sample) checkOpening(t *testing.T) {
	dir := t.TempDir()
	opener := sourceconfig.Opener{Mounts: sourceconfig.Mounts{Secrets: dir, CAs: dir, Claims: dir, Identities: dir,
		Plugins: dir, Scratch: dir}}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // no plugin listens
	defer cancel()
	src, err := opener.Open(ctx, s.message)
	if err == nil {
		_ = src.Close()
	}
	if err != nil && strings.Contains(err.Error(), "has no driver") {
		t.Errorf("opening: %v", err)
	}
}

// TestTheGuideToANewKindFitsTheTree holds that the files of the guide are there, and that
// each has the lines beside which the guide's diff adds others.
func TestTheGuideToANewKindFitsTheTree(t *testing.T) {
	guide, err := os.ReadFile(root + "docs/writing-a-source.md")
	if err != nil {
		t.Fatal(err)
	}
	_, diff, _ := strings.Cut(string(guide), "```diff\n")
	diff, _, _ = strings.Cut(diff, "```")
	content, files := "", 0
	for line := range strings.Lines(diff) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "+++ "); ok {
			raw, err := os.ReadFile(root + name)
			if err != nil {
				t.Fatal(err)
			}
			content, files = "\n"+string(raw)+"\n", files+1
			continue
		}
		if old, kept := strings.CutPrefix(line, " "); kept && !strings.Contains(content, "\n"+old+"\n") {
			t.Errorf("no file has the line %q where the guide says it", old)
		}
	}
	if files != 4 {
		t.Errorf("the guide names %d places, want 4", files)
	}
}

// TestTheDocumentsListTheKindsOfTheTable holds that each list of kinds in the documents is
// that of the table.
func TestTheDocumentsListTheKindsOfTheTable(t *testing.T) {
	for file, begin := range map[string]string{
		"docs/spec/dataset.md":        "| `dataSourceType` | ",
		"docs/design/000-overview.md": "| source | ",
	} {
		raw, err := os.ReadFile(root + file)
		if err != nil {
			t.Fatal(err)
		}
		_, line, found := strings.Cut(string(raw), "\n"+begin)
		line, _, _ = strings.Cut(line, "\n")
		if !found {
			t.Fatalf("%s has no line that begins with %q", file, begin)
		}
		for _, s := range samples(t, "") {
			// A plugin is named by what it does there.
			if !strings.Contains(line, "`"+s.kind+"`") && s.source.Kind != v1alpha1.DataSourcePlugin {
				t.Errorf("%s does not name %s", file, s.kind)
			}
		}
	}
}
