// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	miniocreds "github.com/minio/minio-go/v7/pkg/credentials"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kuda-io/kuda/internal/storagetest"
)

// origin is a storage system that the examples are read from.
type origin struct {
	// patch is the file with its source block; "" is the one that the examples have.
	patch string
	// own are lines of the patch that are the user's own to write, and how: pairs
	// of old and new.
	own []string
	// put stores a file.
	put func(t *testing.T, key string, content []byte)
	// prepare makes in a namespace what the source block refers to.
	prepare func(t *testing.T, namespace string)
}

// minioOrigin is what the examples read from as they are.
func minioOrigin() origin {
	return origin{put: func(t *testing.T, key string, content []byte) {
		file := filepath.Join(t.TempDir(), "content")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		clusterCommand(t, "minio", "put", "--bucket", "kuda", "--key", key, file)
	}}
}

// apply creates an example with the origin's source block.
func (o origin) apply(t *testing.T, namespace, dir string) {
	t.Helper()
	if o.prepare != nil {
		o.prepare(t, namespace)
	}
	if o.patch == "" {
		kubectl(t, "-n", namespace, "apply", "-f", dir+"dataset.yaml", "-f", dir+"deployment.yaml")
		return
	}
	block, err := os.ReadFile("../../examples/sources/" + o.patch)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), o.patch)
	if err := os.WriteFile(file, []byte(strings.NewReplacer(o.own...).Replace(string(block))), 0o600); err != nil {
		t.Fatal(err)
	}
	patched := kubectl(t, "patch", "--local", "-f", dir+"dataset.yaml", "--type", "json", "--patch-file", file, "-o", "yaml")
	apply := exec.CommandContext(t.Context(), "kubectl", "-n", namespace, "apply", "-f", "-")
	apply.Stdin = strings.NewReader(patched)
	if out, err := apply.CombinedOutput(); err != nil {
		t.Fatalf("applying %s with %s: %v\n%s", dir, o.patch, err, out)
	}
	kubectl(t, "-n", namespace, "apply", "-f", dir+"deployment.yaml")
}

// putTree stores the files of a directory.
func (o origin) putTree(t *testing.T, prefix, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		o.put(t, path.Join(prefix, name), content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// runStorage runs a storage server beside the cluster for as long as the test
// lasts, and reads what it says of itself.
func runStorage(t *testing.T, kind string, into any, args ...string) {
	t.Helper()
	storagetest.StartOf(t, os.Getenv("KUDA_CLUSTER"), into, append([]string{kind, "--address", bridgeAddress}, args...)...)
}

// nameInCluster gives a server beside the cluster a name in the namespace
// storage: name.storage:port.
func nameInCluster(t *testing.T, name string, port int32, address string) {
	t.Helper()
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	target, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "storage", Name: name},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "data", Port: port}}},
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "storage", GenerateName: name + "-",
			Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("data"), Port: ptr.To(int32(target)), Protocol: ptr.To(corev1.ProtocolTCP)}},
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{host}}},
	}
	create(t, service)
	t.Cleanup(func() {
		kubectl(t, "-n", "storage", "delete", "service", name)
		kubectl(t, "-n", "storage", "delete", "endpointslice", "-l", discoveryv1.LabelServiceName+"="+name)
	})
	create(t, slice)
}

func hdfsOrigin(t *testing.T) origin {
	var server struct {
		Addresses []string
		Files     string
	}
	runStorage(t, "hdfs", &server)
	nameInCluster(t, "namenode", 8020, server.Addresses[0])
	return origin{patch: "hdfs.yaml", put: func(t *testing.T, key string, content []byte) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.Files+"/"+key+"?replication=3&mode=0644",
			bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
			t.Fatalf("storing %s: %s: %s", key, response.Status, text)
		}
	}}
}

func cephOrigin(t *testing.T) origin {
	var server struct{ Endpoint, AccessKey, SecretKey, Bucket string }
	runStorage(t, "ceph", &server)
	address := strings.TrimPrefix(server.Endpoint, "http://")
	nameInCluster(t, "ceph", 7480, address)
	client, err := minio.New(address, &minio.Options{Creds: miniocreds.NewStaticV4(server.AccessKey, server.SecretKey, ""),
		BucketLookup: minio.BucketLookupPath})
	if err != nil {
		t.Fatal(err)
	}
	return origin{
		patch: "ceph.yaml",
		put: func(t *testing.T, key string, content []byte) {
			t.Helper()
			_, err := client.PutObject(t.Context(), server.Bucket, key, bytes.NewReader(content), int64(len(content)), minio.PutObjectOptions{})
			if err != nil {
				t.Fatal(err)
			}
		},
		prepare: func(t *testing.T, namespace string) {
			t.Helper()
			create(t, &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Name: "ceph-credentials", Namespace: namespace},
				StringData: map[string]string{"accessKey": server.AccessKey, "secretKey": server.SecretKey},
			})
		},
	}
}

// pvcOrigin is a directory of this machine as a volume of every namespace that
// the test makes.
func pvcOrigin(t *testing.T) origin {
	dir, err := os.MkdirTemp("", "kuda-e2e-volume-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	return origin{
		patch: "pvc.yaml",
		put:   func(t *testing.T, key string, content []byte) { publish(t, filepath.Join(dir, key), content) },
		prepare: func(t *testing.T, namespace string) {
			t.Helper()
			volume := &corev1.PersistentVolume{
				ObjectMeta: metav1.ObjectMeta{Name: namespace},
				Spec: corev1.PersistentVolumeSpec{
					Capacity: size, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany},
					PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir}},
				},
			}
			create(t, volume)
			t.Cleanup(func() { kubectl(t, "delete", "persistentvolume", namespace, "--wait=false") })
			create(t, &corev1.PersistentVolumeClaim{
				ObjectMeta: metav1.ObjectMeta{Name: "published-data", Namespace: namespace},
				Spec: corev1.PersistentVolumeClaimSpec{
					AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany}, StorageClassName: ptr.To(""), VolumeName: namespace,
					Resources: corev1.VolumeResourceRequirements{Requests: size},
				},
			})
		},
	}
}

// sftpOrigin is read by the plugin that the installation was configured with.
func sftpOrigin(t *testing.T) origin {
	var server struct{ Address, User, PrivateKey, HostKey, Root string }
	runStorage(t, "sftp", &server)
	nameInCluster(t, "sftp", 22, server.Address)
	return origin{
		patch: "sftp.yaml",
		own:   []string{"user: reader", "user: " + server.User, "root: /srv/data", "root: " + server.Root},
		put:   func(t *testing.T, key string, content []byte) { publish(t, filepath.Join(server.Root, key), content) },
		prepare: func(t *testing.T, namespace string) {
			t.Helper()
			create(t, &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Name: "sftp-credentials", Namespace: namespace},
				StringData: map[string]string{"ssh-privatekey": server.PrivateKey, "known_hosts": "sftp.storage " + server.HostKey + "\n"},
			})
		},
	}
}

// publish writes a file as a writer does who has readers: a new one in the
// place of the old.
func publish(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".new", content, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func TestExamplesAreDeliveredFromOtherStorageByChangingOnlyTheSourceBlock(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) origin{"hdfs": hdfsOrigin, "ceph": cephOrigin, "pvc": pvcOrigin, "sftp": sftpOrigin} {
		t.Run(name, func(t *testing.T) {
			started := time.Now()
			o := open(t)
			t.Logf("%s was ready after %s", name, time.Since(started).Round(time.Millisecond))
			t.Run("nginx", func(t *testing.T) { exampleNginx(t, o) })
			t.Run("model", func(t *testing.T) { exampleModel(t, o) })
		})
	}
}
