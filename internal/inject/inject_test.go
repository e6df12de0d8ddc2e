// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement/index"
	"github.com/kuda-io/kuda/internal/sidecar"
)

var update = flag.Bool("update", false, "write the golden files")

func settings() Settings {
	return Settings{
		Image: "kuda-io/kuda-runtime:v0.1.0", PullPolicy: corev1.PullIfNotPresent,
		HostPath: "/var/lib/kuda", DataPath: "/kuda/data", ServerPort: 8888, Store: StoreAuto, Affinity: true,
		GatewayAddress: "kuda-gateway.kuda-system.svc:8443", GatewayCA: []byte("PEM\n"),
		Audiences: Audiences{Allowed: []string{"sts.amazonaws.com"}},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
		},
		Plugins: map[string]Plugin{"sftp": {
			Image: "kuda-io/kuda-plugin-sftp:v0.1.0", PullPolicy: corev1.PullIfNotPresent,
			Args: []string{"--verbose"}, Env: []corev1.EnvVar{{Name: "LEVEL", Value: "1"}},
			Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("128Mi")}},
		}},
	}
}

func dataSet(name string, change ...func(*v1alpha1.DataSet)) *v1alpha1.DataSet {
	ds := &v1alpha1.DataSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"},
		Spec: v1alpha1.DataSetSpec{
			WorkloadSelector: map[string]string{"app": "search"},
			StartPolicy:      v1alpha1.StartPolicyWaitForData,
			Template: v1alpha1.DataTemplateSpec{DataSources: v1alpha1.DataSources{
				MinIO: &v1alpha1.S3DataSource{SecretRef: &v1alpha1.SecretReference{Name: "minio-reader"},
					CARef: &v1alpha1.CAReference{Name: "minio-ca"}},
			}},
		},
	}
	for _, c := range change {
		c(ds)
	}
	return ds
}

// everySource refers to something of each kind that a pod can mount.
func everySource(ds *v1alpha1.DataSet) {
	ds.Spec.Template.DataSources = v1alpha1.DataSources{
		HDFS: &v1alpha1.HDFSDataSource{Kerberos: &v1alpha1.HDFSKerberos{
			KeytabSecretRef: v1alpha1.KeytabReference{Name: "hdfs-keytab", Key: "keytab"},
			Krb5ConfRef:     v1alpha1.Krb5ConfReference{Name: "krb5", Key: "krb5.conf"},
		}},
		S3:  &v1alpha1.S3DataSource{WebIdentity: &v1alpha1.WebIdentity{Audience: "sts.amazonaws.com"}},
		OCI: &v1alpha1.OCIDataSource{SecretRef: &v1alpha1.SecretReference{Name: "registry-reader"}},
		PVC: &v1alpha1.PVCDataSource{ClaimName: "dictionaries"},
		Plugin: &v1alpha1.PluginDataSource{Name: "sftp", SecretRef: &v1alpha1.SecretReference{Name: "sftp-key"},
			CARef: &v1alpha1.CAReference{Name: "sftp-hosts"}},
	}
}

func immediately(ds *v1alpha1.DataSet) { ds.Spec.StartPolicy = v1alpha1.StartPolicyImmediately }

func pod(change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "search-", Labels: map[string]string{"app": "search"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "search:1"}}},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func request(p *corev1.Pod) Request {
	return Request{
		Pod: p, Namespace: Namespace{Name: "shop", UID: "6f0b1c52-4d0f-4c8e-9d55-0f4a2b7f1c11"}, Settings: settings(),
		DataSets: []*v1alpha1.DataSet{dataSet("model"), dataSet("conf", immediately)},
	}
}

func mustInject(t *testing.T, req Request) *corev1.Pod {
	t.Helper()
	p, skip, err := Inject(req)
	if err != nil || skip != "" || p == nil {
		t.Fatalf("got pod %v, skip %q, error %v", p, skip, err)
	}
	return p
}

func TestTheInjectedPodStaysAsDocumented(t *testing.T) {
	for name, req := range map[string]Request{
		"node-store": request(pod(func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "prepare", Image: "prepare:1"}}
			p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "MODE", Value: "fast"}}
		})),
		"every-source": func() Request {
			r := request(pod())
			r.DataSets = []*v1alpha1.DataSet{dataSet("all", everySource)}
			r.Settings.NodeStoreQuota = new(resource.MustParse("200Gi"))
			return r
		}(),
		"placement": func() Request {
			r := request(rulesOfItsOwn())
			r.Settings.SchedulerName = "kuda-scheduler"
			r.Preferences = []index.Preference{{Node: "node-a", Weight: 100}, {Node: "node-b", Weight: 60}}
			return r
		}(),
		"driver": driven(request(pod(func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "prepare", Image: "prepare:1"}}
		}))),
		"driver-every-source": func() Request {
			r := driven(request(pod()))
			r.DataSets = []*v1alpha1.DataSet{dataSet("all", everySource)}
			r.Settings.NodeStoreQuota, r.Settings.NodeStoreReserve = new(resource.MustParse("200Gi")), "10%"
			return r
		}(),
		"driver-users": func() Request {
			r := driven(request(pod()))
			r.Namespace.Annotations = map[string]string{annotationUserRange: "1000650000/10000"}
			r.Settings.SELinuxLevel = "s0"
			return r
		}(),
		"driver-preheat": func() Request {
			r := driven(preheatRequest())
			r.Namespace.Labels = map[string]string{labelEnforce: "restricted"}
			return r
		}(),
		"pod-store": func() Request {
			r := request(pod())
			r.Namespace.Labels = map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
			return r
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := yaml.Marshal(mustInject(t, req))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".yaml")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestPodsThatCannotTakeTheRuntimeAreLeftAloneWithAReason(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		want   string
	}{
		"opted out":   {func(p *corev1.Pod) { p.Labels[v1alpha1.LabelInjection] = "disabled" }, "labelled"},
		"hostNetwork": {func(p *corev1.Pod) { p.Spec.HostNetwork = true }, "hostNetwork"},
		"Windows":     {func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Windows} }, "Windows"},
		"Windows by node": {func(p *corev1.Pod) {
			p.Spec.NodeSelector = map[string]string{"kubernetes.io/os": "windows"}
		}, "Windows"},
		"static": {func(p *corev1.Pod) {
			p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
		}, "static"},
		"crowded": {func(p *corev1.Pod) {
			p.Spec.InitContainers = make([]corev1.Container, MaxContainers)
		}, "257 containers"},
	} {
		t.Run(name, func(t *testing.T) {
			got, skip, err := Inject(request(pod(c.change)))
			if got != nil || err != nil || !strings.Contains(string(skip), c.want) {
				t.Errorf("got pod %v, skip %q, error %v", got, skip, err)
			}
		})
	}
}

func TestAPodThatConflictsWithTheInjectionIsRefusedUnchanged(t *testing.T) {
	mount := func(volume, at string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{
				Name: "second", VolumeMounts: []corev1.VolumeMount{{Name: volume, MountPath: at}},
			})
		}
	}
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		want   string
	}{
		"a mount at the data path":    {mount("scratch", "/kuda/data/"), "container second mounts volume scratch at /kuda/data"},
		"a mount below the data path": {mount("scratch", "/kuda/data/tmp"), "container second mounts volume scratch at /kuda/data/tmp"},
		"a read-only mount above the data path": {func(p *corev1.Pod) {
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "scratch", MountPath: "/kuda/", ReadOnly: true}}
		}, "container app mounts volume scratch read-only at /kuda, above /kuda/data"},
		"a part of a ConfigMap above the data path": {func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "conf", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}}}
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "conf", MountPath: "/kuda", SubPath: "x"}}
		}, "mounts volume conf read-only at /kuda"},
		"an image above the data path of an init container": {func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "model", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{}}}}
			p.Spec.InitContainers = []corev1.Container{{Name: "prepare", VolumeMounts: []corev1.VolumeMount{{Name: "model", MountPath: "/kuda"}}}}
		}, "container prepare mounts volume model read-only"},
		"a claim that is mounted read-only above": {func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "files",
				VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ReadOnly: true}}}}
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "files", MountPath: "/kuda"}}
		}, "mounts volume files read-only"},
		"a device above the data path": {func(p *corev1.Pod) {
			p.Spec.Containers[0].VolumeDevices = []corev1.VolumeDevice{{Name: "disk", DevicePath: "/kuda"}}
		}, "container app has device disk at /kuda"},
		"a container of that name": {func(p *corev1.Pod) { p.Spec.Containers[0].Name = sidecar.ContainerName }, "container named kuda-runtime"},
		"an init container of that name": {func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: sidecar.ContainerName}}
		}, "init container named kuda-runtime"},
		"a volume of that name": {func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: sidecar.VolumeStore}}
		}, "volume named kuda-store"},
		"every port taken": {func(p *corev1.Pod) {
			ports := []corev1.ContainerPort{{ContainerPort: 8888}}
			for port := firstOtherPort; port <= lastOtherPort; port++ {
				ports = append(ports, corev1.ContainerPort{ContainerPort: port})
			}
			p.Spec.Containers[0].Ports = ports
		}, "container app declares port 8888, where Kuda's runtime listens"},
		"a reach for the whole store": {mount(sidecar.VolumeStore, "/store"), "mounts Kuda's volume kuda-store at /store"},
		"a reach for the token":       {mount(sidecar.VolumeToken, "/token"), "mounts Kuda's volume kuda-token at /token"},
		"a plugin's name": {func(p *corev1.Pod) { p.Spec.Containers[0].Name = sidecar.PluginPrefix + "sftp" },
			"container named kuda-plugin-sftp"},
		"a reach for a plugin": {mount(sidecar.PluginPrefix+"sftp", "/socket"), "mounts Kuda's volume kuda-plugin-sftp at /socket"},
		"a variable of that name": {func(p *corev1.Pod) {
			p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: sidecar.EnvPodUID, Value: "../../other"}}
		}, "defines KUDA_POD_UID"},
	} {
		t.Run(name, func(t *testing.T) {
			before := pod(c.change)
			kept := before.DeepCopy()
			got, skip, err := Inject(request(before))
			if got != nil || skip != "" || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got pod %v, skip %q, error %v", got, skip, err)
			}
			if diff := cmp.Diff(kept, before); diff != "" {
				t.Errorf("the pod was changed: %s", diff)
			}
		})
	}
}

func TestAMountBesideTheDataPathIsNoConflict(t *testing.T) {
	for _, at := range []string{"/kuda/database", "/kuda", "/data"} {
		mustInject(t, request(pod(func(p *corev1.Pod) {
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "scratch", MountPath: at}}
		})))
	}
}

func TestAConfigMapAboveTheDataPathHasADirectoryForTheView(t *testing.T) {
	for _, source := range []corev1.VolumeSource{
		{ConfigMap: &corev1.ConfigMapVolumeSource{}}, {Secret: &corev1.SecretVolumeSource{}}, {Projected: &corev1.ProjectedVolumeSource{}},
	} {
		mustInject(t, request(pod(func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "conf", VolumeSource: source}}
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "conf", MountPath: "/kuda", ReadOnly: true}}
		})))
	}
}

func TestContainersAddedByOthersLaterGetTheirMount(t *testing.T) {
	p := mustInject(t, request(pod()))
	p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "mesh"})
	p.Spec.InitContainers = append([]corev1.Container{{Name: "mesh-init"}}, append(p.Spec.InitContainers, corev1.Container{Name: "late"})...)
	p.Spec.InitContainers[1].RestartPolicy = nil
	p.Spec.InitContainers[1].Image = "mirror.example.com/kuda-runtime:v0.1.0"
	p = mustInject(t, request(p))

	first, runtime, late, mesh := p.Spec.InitContainers[0], p.Spec.InitContainers[1], p.Spec.InitContainers[2], p.Spec.Containers[1]
	if len(first.VolumeMounts) != 0 {
		t.Error("an init container that runs before the runtime got a mount of a view that is not there yet")
	}
	if runtime.RestartPolicy == nil || *runtime.RestartPolicy != corev1.ContainerRestartPolicyAlways {
		t.Error("the runtime is no sidecar any more")
	}
	if runtime.Image != settings().Image {
		t.Errorf("the runtime's image is %s, which the installation does not name", runtime.Image)
	}
	for _, c := range []corev1.Container{late, mesh} {
		if len(c.VolumeMounts) != 1 || len(c.Env) != 2 {
			t.Errorf("container %s got %d mounts and %d variables", c.Name, len(c.VolumeMounts), len(c.Env))
		}
	}
}

func TestThePodsQualityOfServiceIsKept(t *testing.T) {
	list := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
	with := func(r corev1.ResourceRequirements) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.Containers[0].Resources = r }
	}
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		want   string
	}{
		"best effort becomes burstable": {func(*corev1.Pod) {}, `{"limits":{"memory":"256Mi"},"requests":{"cpu":"10m","memory":"32Mi"}}`},
		"guaranteed by limits": {with(corev1.ResourceRequirements{Limits: list("1", "1Gi")}),
			`{"limits":{"cpu":"250m","memory":"256Mi"},"requests":{"cpu":"250m","memory":"256Mi"}}`},
		"guaranteed by both": {with(corev1.ResourceRequirements{Limits: list("1", "1Gi"), Requests: list("1000m", "1024Mi")}),
			`{"limits":{"cpu":"250m","memory":"256Mi"},"requests":{"cpu":"250m","memory":"256Mi"}}`},
		"limited, as a quota demands": {with(corev1.ResourceRequirements{Limits: list("1", "1Gi"), Requests: list("100m", "1Gi")}),
			`{"limits":{"cpu":"250m","memory":"256Mi"},"requests":{"cpu":"10m","memory":"32Mi"}}`},
		"an init container without limits": {func(p *corev1.Pod) {
			with(corev1.ResourceRequirements{Limits: list("1", "1Gi")})(p)
			p.Spec.InitContainers = []corev1.Container{{Name: "prepare"}}
		}, `{"limits":{"memory":"256Mi"},"requests":{"cpu":"10m","memory":"32Mi"}}`},
		"storage, as a quota demands": {func(p *corev1.Pod) {
			storage := corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("1Gi")}
			with(corev1.ResourceRequirements{Limits: storage})(p)
		}, `{"limits":{"ephemeral-storage":"128Mi","memory":"256Mi"},"requests":{"cpu":"10m","ephemeral-storage":"16Mi","memory":"32Mi"}}`},
		"storage is requested only": {func(p *corev1.Pod) {
			storage := corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("1Gi")}
			with(corev1.ResourceRequirements{Requests: storage})(p)
		}, `{"limits":{"memory":"256Mi"},"requests":{"cpu":"10m","ephemeral-storage":"16Mi","memory":"32Mi"}}`},
		"resources of the pod as a whole": {func(p *corev1.Pod) {
			p.Spec.Resources = &corev1.ResourceRequirements{Limits: list("1", "1Gi")}
		}, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := json.Marshal(mustInject(t, request(pod(c.change))).Spec.InitContainers[0].Resources)
			if err != nil || string(got) != c.want {
				t.Errorf("got %s, %v; want %s", got, err, c.want)
			}
		})
	}
}

func TestTheStoreFollowsTheNamespaceUnlessConfigured(t *testing.T) {
	for _, c := range []struct {
		mode           StoreMode
		enforce, store string
	}{
		{StoreAuto, "", "node"}, {StoreAuto, "privileged", "node"}, {StoreAuto, "baseline", "pod"}, {StoreAuto, "restricted", "pod"},
		{StoreNode, "restricted", sidecar.StoreNode}, {StorePod, "", sidecar.StorePod},
	} {
		req := request(pod())
		req.Settings.Store, req.Namespace.Labels = c.mode, map[string]string{"pod-security.kubernetes.io/enforce": c.enforce}
		p := mustInject(t, req)
		if got := p.Annotations[v1alpha1.AnnotationStore]; got != c.store || (p.Spec.Volumes[0].HostPath != nil) != (c.store == "node") {
			t.Errorf("mode %s, level %q: got %s", c.mode, c.enforce, got)
		}
		if want := (corev1.EnvVar{Name: sidecar.EnvStore, Value: c.store}); !slices.Contains(p.Spec.InitContainers[0].Env, want) {
			t.Errorf("mode %s, level %q: the runtime is not told of %s", c.mode, c.enforce, c.store)
		}
	}
}

func TestOnlyDataSetsThatSelectThePodAreDelivered(t *testing.T) {
	deleted := dataSet("deleted")
	deleted.DeletionTimestamp = &metav1.Time{}
	empty := dataSet("empty", func(ds *v1alpha1.DataSet) { ds.Spec.WorkloadSelector = nil })
	more := dataSet("more", func(ds *v1alpha1.DataSet) { ds.Spec.WorkloadSelector["tier"] = "front" })
	other := dataSet("other", func(ds *v1alpha1.DataSet) { ds.Spec.WorkloadSelector = map[string]string{"app": "shop"} })
	got := Selecting([]*v1alpha1.DataSet{other, more, dataSet("b"), empty, deleted, dataSet("a")},
		map[string]string{"app": "search", "x": "y"})
	if len(got) != 2 || got[0].Name != "a" || got[1].Name != "b" {
		t.Errorf("got %d: %v", len(got), got)
	}
	if p, skip, err := Inject(Request{Pod: pod()}); p != nil || skip != "" || err != nil {
		t.Errorf("a pod that no DataSet selects: got %v, %q, %v", p, skip, err)
	}
}

func TestAPluginSeesNothingButItsOwn(t *testing.T) {
	req := request(pod())
	req.DataSets = []*v1alpha1.DataSet{dataSet("minio"), dataSet("all", everySource)}
	p := mustInject(t, req)
	plugin := p.Spec.InitContainers[0]
	if plugin.Name != "kuda-plugin-sftp" || p.Spec.InitContainers[1].Name != sidecar.ContainerName {
		t.Fatalf("the first containers are %s, %s", plugin.Name, p.Spec.InitContainers[1].Name)
	}
	var at []string
	for _, m := range plugin.VolumeMounts {
		at = append(at, m.MountPath)
	}
	want := []string{"/var/run/kuda/plugins/sftp", "/var/run/secrets/kubernetes.io/serviceaccount", "/var/run/kuda/secrets/sftp-key",
		"/var/run/kuda/ca/sftp-hosts"}
	if diff := cmp.Diff(want, at); diff != "" {
		t.Errorf("the plugin's mounts (-want +got):\n%s", diff)
	}
	for _, m := range p.Spec.InitContainers[1].VolumeMounts {
		if strings.Contains(m.MountPath, "sftp-key") {
			t.Error("the runtime mounts the plugin's Secret")
		}
	}
	for _, m := range p.Spec.Containers[0].VolumeMounts {
		if m.Name != sidecar.VolumeStore {
			t.Errorf("the application mounts %s", m.Name)
		}
	}
}

func TestAPluginThatIsNotOfferedIsLeftOut(t *testing.T) {
	req := request(pod())
	req.DataSets = []*v1alpha1.DataSet{dataSet("all", everySource)}
	req.Settings.Plugins = nil
	p := mustInject(t, req)
	for _, v := range p.Spec.Volumes {
		if strings.HasPrefix(v.Name, sidecar.PluginPrefix) {
			t.Errorf("there is a volume %s", v.Name)
		}
	}
	if got := p.Spec.InitContainers[0].Name; got != sidecar.ContainerName {
		t.Errorf("the first container is %s", got)
	}
}
