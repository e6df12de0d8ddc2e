// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package browser

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/frame"
)

const (
	setName = "words"
	pods    = 4
)

// cluster is the development cluster, and a namespace in it with a DataSet that four pods
// have, whose rollouts stop when half of them have moved.
type cluster struct {
	client.Client
	namespace string
	// programs is the directory of Kuda's binaries.
	programs string
}

// newCluster makes the namespace and waits until all pods have the first version.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	kubeconfig, programs := os.Getenv("KUBECONFIG"), os.Getenv("KUDA_PROGRAMS")
	if kubeconfig == "" || programs == "" {
		t.Fatal("KUBECONFIG and KUDA_PROGRAMS are not set: run the tests by \"make browser-cluster\"")
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := client.New(config, client.Options{Scheme: frame.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{Client: inner, programs: programs}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "browser-"}}
	c.create(t, ns)
	c.namespace = ns.Name
	t.Cleanup(func() { _ = c.Delete(context.WithoutCancel(t.Context()), ns) })
	c.putWords(t)
	c.create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "minio-credentials"},
		StringData: map[string]string{"accessKey": "kudaadmin", "secretKey": "kudaadmin-secret"}})
	c.create(t, c.words(), c.app())
	c.await(t, "all pods to have their data", func(d *v1alpha1.DataSet) bool { return d.Status.Ready == "4/4" })
	return c
}

func (c *cluster) create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
}

// putWords stores the file that is delivered.
func (c *cluster) putWords(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "words.txt")
	if err := os.WriteFile(file, []byte("one\ntwo\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(c.programs, "kuda-cluster"), "minio", "put", "--bucket", "kuda",
		"--key", c.namespace+"/words.txt", file).CombinedOutput()
	if err != nil {
		t.Fatalf("storing %s: %v\n%s", file, err, out)
	}
}

func (c *cluster) words() *v1alpha1.DataSet {
	half := intstr.FromString("50%")
	return &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: setName}, Spec: v1alpha1.DataSetSpec{
		WorkloadSelector: map[string]string{"app": setName},
		UpdateStrategy: v1alpha1.UpdateStrategy{RollingUpdate: &v1alpha1.RollingUpdate{MaxUnavailable: new(intstr.FromString("100%"))},
			Steps: []v1alpha1.RolloutStep{{Partition: &half}, {Pause: &v1alpha1.PauseStep{}}}},
		Template: v1alpha1.DataTemplateSpec{
			DataItems: []v1alpha1.DataItem{{Name: "words", Namespace: "browser", RemotePath: c.namespace + "/words.txt", LocalPath: "words.txt",
				Version: "v1", DataSourceType: v1alpha1.DataSourceMinIO}},
			DataSources: v1alpha1.DataSources{MinIO: &v1alpha1.S3DataSource{Endpoint: "http://minio.storage:9000", Bucket: "kuda",
				SecretRef: &v1alpha1.SecretReference{Name: "minio-credentials"}}},
		},
	}}
}

func (c *cluster) app() *appsv1.Deployment {
	labels := map[string]string{"app": setName}
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: setName}, Spec: appsv1.DeploymentSpec{
		Replicas: new(int32(pods)), Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64(1)),
			Containers:                    []corev1.Container{{Name: "app", Image: "nginx:1.14.2", Command: []string{"sleep", "infinity"}}},
		}},
	}}
}

func (c *cluster) dataSet(t *testing.T) *v1alpha1.DataSet {
	t.Helper()
	d := &v1alpha1.DataSet{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: c.namespace, Name: setName}, d); err != nil {
		t.Fatal(err)
	}
	return d
}

// await waits until the API server has the DataSet in a state.
func (c *cluster) await(t *testing.T, what string, holds func(*v1alpha1.DataSet) bool) {
	t.Helper()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	limit := time.After(2 * patience)
	for {
		d := c.dataSet(t)
		if holds(d) {
			return
		}
		select {
		case <-limit:
			t.Fatalf("waiting for %s: %s is %+v", what, d.Name, d.Status)
		case <-again.C:
		}
	}
}

// release gives the item another version, as a user does by editing.
func (c *cluster) release(t *testing.T, version string) {
	t.Helper()
	d := c.dataSet(t)
	before := d.DeepCopy()
	d.Spec.Template.DataItems[0].Version = version
	if err := c.Patch(t.Context(), d, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// startLocal starts kubectl kuda dashboard, and returns its address and the secret.
func (c *cluster) startLocal(t *testing.T) (base, secret string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(c.programs, "kubectl-kuda"), "dashboard", "--no-browser", "-n", c.namespace)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	found := regexp.MustCompile(`(http://127\.0\.0\.1:\d+)/#s=(\S+)`).FindStringSubmatch(line)
	if found == nil {
		t.Fatalf("the command prints %q (%v), want an address", line, err)
	}
	return found[1], found[2]
}

// token returns a token of a new service account that has a ClusterRole in the namespace, or
// no role.
func (c *cluster) token(t *testing.T, role string) string {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, GenerateName: "user-"}}
	c.create(t, account)
	if role != "" {
		c.create(t, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: account.Name},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: c.namespace, Name: account.Name}}})
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(600))}}
	if err := c.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

// address returns where a pod of kuda-dashboard serves.
func (c *cluster) address(t *testing.T) string {
	t.Helper()
	list := &corev1.PodList{}
	if err := c.List(t.Context(), list, client.InNamespace("kuda-system"),
		client.MatchingLabels{"app.kubernetes.io/name": "kuda-dashboard"}); err != nil {
		t.Fatal(err)
	}
	for _, p := range list.Items {
		if p.Status.PodIP != "" && p.DeletionTimestamp == nil {
			return "https://" + p.Status.PodIP + ":8443"
		}
	}
	t.Fatal("kuda-dashboard does not run: hack/install.sh --dashboard installs it")
	return ""
}

// signIn signs in on the page.
func (b *tab) signIn(t *testing.T, token string) {
	t.Helper()
	b.do(t, chromedp.Navigate(b.base+"/"))
	b.until(t, `document.querySelector('input[type=password]')`)
	b.do(t, chromedp.SendKeys("input[type=password]", token+"\r"))
	b.until(t, `!document.querySelector('input[type=password]')`)
	b.ready(t)
}

func (b *tab) confirm(t *testing.T) {
	t.Helper()
	b.until(t, `document.querySelector('dialog[open] .primary')`)
	b.do(t, chromedp.Evaluate(`document.querySelector('dialog[open] .primary').click()`, nil))
}

func TestOnTheClusterARolloutIsFollowedAndSteeredByClicks(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	base, secret := c.startLocal(t)
	b := startBrowser(t, base)
	b.do(t, chromedp.Navigate(base+"/#s="+secret))
	b.ready(t)
	b.visit(t, "/datasets/"+c.namespace+"/"+setName)
	b.until(t, `document.querySelector('main').innerText.includes('4 / 4')`)

	c.release(t, "v2")
	b.until(t, `document.querySelector('main').innerText.includes('2 / 4')`)
	b.click(t, "Pause")
	c.await(t, "the pause", func(d *v1alpha1.DataSet) bool { return d.Spec.Paused })
	b.click(t, "Resume")
	c.await(t, "the pause to end", func(d *v1alpha1.DataSet) bool { return !d.Spec.Paused })
	b.click(t, "Promote")
	c.await(t, "all pods to have v2", func(d *v1alpha1.DataSet) bool {
		return d.Status.UpdatedReplicas == pods && d.Status.Rollout.Phase == v1alpha1.RolloutCompleted
	})
	b.until(t, `document.querySelector('h1').innerText.includes('Completed') && document.querySelector('main').innerText.includes('4 / 4')`)

	c.release(t, "v3")
	c.await(t, "half of the pods to have v3", func(d *v1alpha1.DataSet) bool { return d.Status.UpdatedReplicas == pods/2 })
	b.click(t, "Abort")
	b.confirm(t)
	c.await(t, "the pods to be back", func(d *v1alpha1.DataSet) bool { return d.Status.Rollout.Phase == v1alpha1.RolloutRolledBack })
	b.until(t, `document.querySelector('h1').innerText.includes('Rolled back')`)
	b.click(t, "Undo")
	b.until(t, `document.querySelector('dialog[open]')?.innerText.includes('version v3 → v2')`)
	b.confirm(t)
	c.await(t, "v2 in the template", func(d *v1alpha1.DataSet) bool {
		return d.Spec.Template.DataItems[0].Version == "v2" && d.Status.Rollout.Phase == v1alpha1.RolloutCompleted
	})
	b.until(t, `document.querySelector('h1').innerText.includes('Completed')`)
	b.check(t)
	b.shoot(t, "cluster-rollout")

	again, err := http.Post(base+"/api/v1/session", "application/json", strings.NewReader(`{"secret":"`+secret+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	again.Body.Close()
	if again.StatusCode != http.StatusForbidden {
		t.Errorf("the secret is good for a second browser: status %d", again.StatusCode)
	}
}

func TestOnTheClusterUsersActWithTheirOwnRights(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	base := c.address(t)
	path := "/datasets/" + c.namespace + "/" + setName

	viewer := startBrowser(t, base)
	viewer.signIn(t, c.token(t, "view"))
	viewer.visit(t, path)
	viewer.until(t, `document.querySelector('.steer').innerText.includes('You may not change DataSets')`)
	viewer.until(t, `[...document.querySelectorAll('.steer button')].every((x) => x.getAttribute('aria-disabled') === 'true')`)
	uid := string(c.dataSet(t).UID)
	viewer.until(t, fmt.Sprintf(`(window.forged ??= {}, window.forged.asked ??= fetch(%q, {method: 'POST',
		headers: {'Content-Type': 'application/json'}, body: JSON.stringify({uid: %q})}).then((r) => { window.forged.status = r.status }),
		window.forged.status === 403)`, "/api/v1"+path+"/pause", uid))
	if c.dataSet(t).Spec.Paused {
		t.Error("a viewer paused the DataSet")
	}
	viewer.check(t)

	editor := startBrowser(t, base)
	editor.signIn(t, c.token(t, "edit"))
	editor.visit(t, path)
	editor.click(t, "Pause")
	c.await(t, "the pause", func(d *v1alpha1.DataSet) bool { return d.Spec.Paused })

	stranger := startBrowser(t, base)
	stranger.signIn(t, c.token(t, ""))
	stranger.visit(t, path)
	stranger.until(t, `document.querySelector('main').innerText.includes('forbidden') || document.querySelector('main').innerText.includes('may not')`)
	stranger.until(t, `!document.querySelector('main').innerText.includes('4 / 4')`)
	stranger.check(t)
}

func TestOnTheClusterForgedRequestsAreRefused(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	base, token := c.address(t), c.token(t, "edit")
	uid := string(c.dataSet(t).UID)
	untrusting := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for name, row := range map[string]struct {
		headers map[string]string
		want    int
	}{
		"no session":        {want: http.StatusUnauthorized},
		"another origin":    {map[string]string{"Authorization": "Bearer " + token, "Origin": "https://evil.example"}, http.StatusForbidden},
		"another site":      {map[string]string{"Authorization": "Bearer " + token, "Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
		"a form":            {map[string]string{"Authorization": "Bearer " + token, "Content-Type": "text/plain"}, http.StatusUnsupportedMediaType},
		"a damaged token":   {map[string]string{"Authorization": "Bearer " + token[:len(token)-4] + "AAAA"}, http.StatusUnauthorized},
		"an honest request": {map[string]string{"Authorization": "Bearer " + token}, http.StatusOK},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/api/v1/datasets/"+c.namespace+"/"+setName+"/pause",
			strings.NewReader(`{"uid":"`+uid+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		for k, v := range row.headers {
			request.Header.Set(k, v)
		}
		if name != "an honest request" && c.dataSet(t).Spec.Paused {
			if err := c.Patch(t.Context(), c.dataSet(t), client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"paused":false}}`))); err != nil {
				t.Fatal(err)
			}
		}
		response, err := untrusting.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if paused := c.dataSet(t).Spec.Paused; response.StatusCode != row.want || paused != (row.want == http.StatusOK) {
			t.Errorf("%s: status %d, paused %t, want status %d: %s", name, response.StatusCode, paused, row.want, text)
		}
	}
}

// The API server stands still for all tests, so this one has it for itself.
func TestOnTheClusterTheLastPictureStaysWhileTheAPIServerIsStopped(t *testing.T) {
	c := newCluster(t)
	base, secret := c.startLocal(t)
	b := startBrowser(t, base)
	b.do(t, chromedp.Navigate(base+"/#s="+secret))
	b.ready(t)
	b.visit(t, "/datasets/"+c.namespace+"/"+setName)
	b.until(t, `document.querySelector('main').innerText.includes('4 / 4')`)

	resume := c.stopAPIServer(t)
	b.until(t, `document.body.innerText.includes('Not up to date') && document.querySelector('main').innerText.includes('4 / 4')`)
	b.shoot(t, "cluster-stale")
	resume()
	b.until(t, `!document.body.innerText.includes('Not up to date')`)
	c.release(t, "v2")
	b.until(t, `document.querySelector('main').innerText.includes('2 / 4')`)
}

// stopAPIServer stops the process of the API server, and returns what lets it go on.
func (c *cluster) stopAPIServer(t *testing.T) (resume func()) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), filepath.Join(c.programs, "kuda-cluster"), "status").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^kube-apiserver\s+(\d+)`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("kuda-cluster status names no kube-apiserver:\n%s", out)
	}
	pid, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	resume = func() { _ = syscall.Kill(pid, syscall.SIGCONT) }
	t.Cleanup(resume)
	return resume
}
