// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"reflect"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// What the fields of a DataSet's spec mean for its author's rights.
const (
	// harmless: changing the field uses nothing of others.
	harmless = "harmless"
	// refers: the field names something that takes a right.
	refers = "refers"
	// used: the field is part of a block; where that refers to something, another
	// value is another use of it.
	used = "used"
	// inside: the field holds fields that are judged by themselves.
	inside = "inside"
)

var judged = map[string]string{
	"DataSetSpec.workloadSelector": used, "DataSetSpec.template": inside, "DataSetSpec.preheat": refers,
	"DataSetSpec.updateStrategy": harmless, "DataSetSpec.paused": harmless, "DataSetSpec.progressDeadlineSeconds": harmless,
	"DataSetSpec.failurePolicy": harmless, "DataSetSpec.failureThreshold": harmless, "DataSetSpec.prefetch": harmless,
	"DataSetSpec.revisionHistoryLimit": harmless, "DataSetSpec.startPolicy": harmless, "DataSetSpec.deletionPolicy": harmless,
	"DataSetSpec.placement": harmless,

	"DataTemplateSpec.dataItems": inside, "DataTemplateSpec.dataSources": inside, "DataTemplateSpec.lifecycle": inside,

	"DataItem.name": harmless, "DataItem.namespace": harmless, "DataItem.localPath": harmless, "DataItem.version": harmless,
	"DataItem.digest": harmless, "DataItem.mode": harmless,
	"DataItem.remotePath": used, "DataItem.dataSourceType": used, "DataItem.include": used, "DataItem.exclude": used,
	"DataItem.lifecycle": inside, "DataItem.container": used,

	"Lifecycle.preDownload": inside, "Lifecycle.postDownload": inside,
	"LifecycleHandler.exec": refers, "LifecycleHandler.httpGet": refers,

	"DataSources.hdfs": inside, "DataSources.alluxio": inside, "DataSources.minio": inside, "DataSources.ceph": inside,
	"DataSources.s3": inside, "DataSources.http": inside, "DataSources.oci": inside, "DataSources.pvc": inside, "DataSources.plugin": inside,

	"HDFSDataSource.addresses": used, "HDFSDataSource.userName": used, "HDFSDataSource.kerberos": inside,
	"HDFSDataSource.dataTransferProtection": used, "HDFSDataSource.limits": harmless, "HDFSDataSource.cache": used,
	"HDFSKerberos.principal": used, "HDFSKerberos.servicePrincipalName": used,
	"HDFSKerberos.keytabSecretRef": refers, "HDFSKerberos.krb5ConfRef": refers,

	// Alluxio refers to nothing.
	"AlluxioDataSource.host": harmless, "AlluxioDataSource.port": harmless, "AlluxioDataSource.timeout": harmless,
	"AlluxioDataSource.limits": harmless,

	"S3DataSource.endpoint": used, "S3DataSource.bucket": used, "S3DataSource.region": used, "S3DataSource.pathStyle": used,
	"S3DataSource.proxy": used, "S3DataSource.limits": harmless,
	"S3DataSource.secretRef": refers, "S3DataSource.caRef": refers, "S3DataSource.webIdentity": refers,
	"S3DataSource.instanceCredentials": refers, "S3DataSource.cache": used,

	"HTTPDataSource.url": used, "HTTPDataSource.proxy": used, "HTTPDataSource.limits": harmless,
	"HTTPDataSource.secretRef": refers, "HTTPDataSource.caRef": refers, "HTTPDataSource.cache": used,

	"OCIDataSource.registry": used, "OCIDataSource.proxy": used, "OCIDataSource.platform": used, "OCIDataSource.limits": harmless,
	"OCIDataSource.secretRef": refers, "OCIDataSource.caRef": refers,

	"PVCDataSource.claimName": refers, "PVCDataSource.limits": harmless,

	"PluginDataSource.name": refers, "PluginDataSource.config": used, "PluginDataSource.limits": harmless,
	"PluginDataSource.secretRef": refers, "PluginDataSource.caRef": refers,
}

// TestEveryFieldOfADataSetIsJudged fails when the API gains a field without a
// decision, and holds the decision for each field.
func TestEveryFieldOfADataSetIsJudged(t *testing.T) {
	seen := map[string]bool{}
	walk(t, reflect.TypeFor[v1alpha1.DataSetSpec](), nil, func(name, verdict string, path []int) {
		seen[name] = true
		if verdict == inside {
			return
		}
		check(t, name, verdict, path)
	})
	for name := range judged {
		if !seen[name] {
			t.Errorf("%s is judged, and no such field is there", name)
		}
	}
}

func walk(t *testing.T, of reflect.Type, path []int, visit func(name, verdict string, path []int)) {
	for i := range of.NumField() {
		f := of.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		name := of.Name() + "." + tag
		verdict, ok := judged[name]
		if !ok {
			t.Errorf("%s: decide which right of the author it needs (package sourcekind, source.go, use.go, the webhook's match conditions), "+
				"and say so here", name)
			continue
		}
		at := append(append([]int(nil), path...), i)
		if verdict == inside {
			visit(name, verdict, at)
			walk(t, structOf(f.Type), at, visit)
			continue
		}
		visit(name, verdict, at)
	}
}

func structOf(of reflect.Type) reflect.Type {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	return of
}

// check compares a DataSet in which all is set on the way to the field with one in
// which the field has another value.
func check(t *testing.T, name, verdict string, path []int) {
	before, after := &v1alpha1.DataSet{}, &v1alpha1.DataSet{}
	for i, d := range []*v1alpha1.DataSet{before, after} {
		d.Spec.WorkloadSelector = map[string]string{"app": "search"}
		parent := descend(reflect.ValueOf(&d.Spec).Elem(), path[:len(path)-1])
		fill(parent, "same")
		target := parent.Field(path[len(path)-1])
		if d.Spec.Template.DataItems == nil {
			d.Spec.Template.DataItems = []v1alpha1.DataItem{{RemotePath: "x"}}
		}
		complete(d, name)
		if verdict == refers && i == 0 {
			target.SetZero()
			continue
		}
		set(target, []string{"one", "two"}[i])
	}
	needs := Needs(Change{Old: before, New: after})
	switch {
	case verdict == harmless && len(needs) > 0:
		t.Errorf("%s: changing it needs %v", name, needs)
	case verdict != harmless && len(needs) == 0:
		t.Errorf("%s: changing it needs no right", name)
	}
}

// complete makes items come from the sources with credentials, with a hook.
func complete(d *v1alpha1.DataSet, name string) {
	if hdfs := d.Spec.Template.DataSources.HDFS; hdfs != nil && hdfs.Kerberos == nil {
		hdfs.Kerberos = &v1alpha1.HDFSKerberos{}
	}
	if !strings.HasPrefix(name, "DataItem.") && name != "DataSetSpec.workloadSelector" {
		return
	}
	secret := &v1alpha1.SecretReference{Name: "s"}
	d.Spec.Template.DataSources = v1alpha1.DataSources{HTTP: &v1alpha1.HTTPDataSource{SecretRef: secret},
		S3: &v1alpha1.S3DataSource{SecretRef: secret}}
	for i := range d.Spec.Template.DataItems {
		d.Spec.Template.DataItems[i].DataSourceType = v1alpha1.DataSourceHTTP
		d.Spec.Template.DataItems[i].Lifecycle = &v1alpha1.Lifecycle{PreDownload: command("x")}
	}
}

func descend(v reflect.Value, path []int) reflect.Value {
	for _, i := range path {
		v = v.Field(i)
		for v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice {
			if v.Kind() == reflect.Slice {
				if v.Len() == 0 {
					v.Set(reflect.MakeSlice(v.Type(), 1, 1))
				}
				v = v.Index(0)
				continue
			}
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
	}
	return v
}

// fill sets what a struct refers to, so that its other fields are used.
func fill(v reflect.Value, word string) {
	for i := range v.NumField() {
		tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if judged[v.Type().Name()+"."+tag] == refers {
			set(v.Field(i), word)
		}
	}
	if h, ok := v.Addr().Interface().(*v1alpha1.LifecycleHandler); ok {
		*h = v1alpha1.LifecycleHandler{}
	}
}

// set gives a field, and the first thing in it, a value that goes by the word.
func set(v reflect.Value, word string) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		set(v.Elem(), word)
	case reflect.String:
		if v.Type() == reflect.TypeFor[v1alpha1.DataSourceType]() {
			word = map[string]string{"one": "http"}[word]
			if word == "" {
				word = "s3"
			}
		}
		v.SetString(word)
	case reflect.Bool:
		v.SetBool(word == "one")
	case reflect.Int32, reflect.Int64, reflect.Int:
		v.SetInt(int64(len(word)) + int64(word[0]))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		set(v.Index(0), word)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("app"), reflect.ValueOf(word))
	case reflect.Struct:
		if v.NumField() > 0 && v.Field(0).CanSet() {
			set(v.Field(0), word)
		}
	}
}
