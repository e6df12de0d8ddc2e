// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package item

import (
	"testing"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

func authority() *gatewayv1alpha1.CertificateAuthority {
	return &gatewayv1alpha1.CertificateAuthority{ConfigMap: "roots", Key: "ca.crt"}
}

// sources has one of each message with every field set, and some with few.
var sources = map[string]*gatewayv1alpha1.Source{
	"s3": {Name: "minio", Config: &gatewayv1alpha1.Source_S3{S3: &gatewayv1alpha1.S3Source{
		Endpoint: "https://minio:9000", Bucket: "models", Region: "eu", PathStyle: true, Secret: "keys", Ca: authority(),
		Proxy:               "http://proxy:3128",
		WebIdentity:         &gatewayv1alpha1.WebIdentity{RoleArn: "role", StsEndpoint: "http://sts", Audience: "aws"},
		InstanceCredentials: &gatewayv1alpha1.InstanceCredentials{Endpoint: "http://instance"},
	}}},
	"s3, plain": {Name: "s3", Config: &gatewayv1alpha1.Source_S3{S3: &gatewayv1alpha1.S3Source{Endpoint: "https://s3", Bucket: "models"}}},
	"http": {Name: "http", Config: &gatewayv1alpha1.Source_Http{Http: &gatewayv1alpha1.HTTPSource{
		Url: "https://files/base?a=<b>", Secret: "keys", Ca: authority(), Proxy: "http://proxy:3128",
	}}},
	"http, plain": {Name: "http", Config: &gatewayv1alpha1.Source_Http{Http: &gatewayv1alpha1.HTTPSource{Url: "https://files"}}},
	"hdfs": {Name: "hdfs", Config: &gatewayv1alpha1.Source_Hdfs{Hdfs: &gatewayv1alpha1.HDFSSource{
		Addresses: []string{"n1:8020", "n2:8020"}, UserName: "reader", DataTransferProtection: "privacy",
		Kerberos: &gatewayv1alpha1.Kerberos{
			Principal: "p@R", Secret: "keys", KeytabKey: "keytab", ConfigMap: "krb5", Krb5ConfKey: "krb5.conf", ServicePrincipalName: "nn/_HOST",
		},
	}}},
	"hdfs, plain": {Name: "hdfs", Config: &gatewayv1alpha1.Source_Hdfs{Hdfs: &gatewayv1alpha1.HDFSSource{Addresses: []string{"n1:8020"}}}},
	"hdfs, empty": {Name: "hdfs", Config: &gatewayv1alpha1.Source_Hdfs{Hdfs: &gatewayv1alpha1.HDFSSource{}}},
	"oci": {Name: "oci", Config: &gatewayv1alpha1.Source_Oci{Oci: &gatewayv1alpha1.OCISource{
		Registry: "registry:5000", Secret: "pull", Ca: authority(), Proxy: "http://proxy:3128", Platform: "linux/arm64",
	}}},
	"oci, plain": {Name: "oci", Config: &gatewayv1alpha1.Source_Oci{Oci: &gatewayv1alpha1.OCISource{Registry: "registry"}}},
	"pvc":        {Name: "pvc", Config: &gatewayv1alpha1.Source_Pvc{Pvc: &gatewayv1alpha1.PVCSource{Claim: "disk"}}},
	"plugin": {Name: "plugin", Config: &gatewayv1alpha1.Source_Plugin{Plugin: &gatewayv1alpha1.PluginSource{
		Name: "sftp", Config: map[string]string{"host": "h", "dir": "<d>"}, Secret: "keys", Ca: authority(),
	}}},
	"plugin, plain": {Name: "plugin", Config: &gatewayv1alpha1.Source_Plugin{Plugin: &gatewayv1alpha1.PluginSource{Name: "sftp"}}},
	"alluxio": {Name: "alluxio",
		Config: &gatewayv1alpha1.Source_Alluxio{Alluxio: &gatewayv1alpha1.AlluxioSource{Host: "a", Port: 39999, TimeoutSeconds: 7}}},
	"nothing":                 nil,
	"a kind of the future":    {Name: "future"},
	"a kind without settings": {Name: "minio", Config: &gatewayv1alpha1.Source_S3{}},
}

// Marks and ways are on the disks of nodes. These were made before the options of the
// protocol said what they are made of.
var known = map[string]struct {
	mark, way  string
	usesMounts bool
}{
	"s3":                      {"b5a93879e309cb979a83afeddf98fe88", "7932bb91d8db3d467941e59377e75f4d", true},
	"s3, plain":               {"63f4987548bfd64aea7a0f586db237dd", "fef040e607a3e14b5d1969f6d47cd72b", false},
	"http":                    {"0de0e393454f597735eab7a57a62c80a", "f424b9993eb9ec3ed8630c69860ef833", true},
	"http, plain":             {"11f7b0ea932f8afbe1c977a6480135ef", "b58b6c0e942db6d305765a9e9421b54e", false},
	"hdfs":                    {"7533b3fa3cf4bdcee3f450c92d6e8b5a", "f77dfa9cd9529d5bcb9c0c392466f1a2", true},
	"hdfs, plain":             {"8c67c5e8f4d3197122446af1755c2f26", "75497e076ee27fd33212a6020a854614", false},
	"hdfs, empty":             {"76b1344fc4a9ce717d8d0d5dacbb692b", "75497e076ee27fd33212a6020a854614", false},
	"oci":                     {"7d42e8193d89db959abb260a29c248ab", "930ee135daba4a72543a136fc16fe060", true},
	"oci, plain":              {"b2750b71e90ec8b28d5f567c3997bd79", "5967e281ea702a0e6e9f1a0dcef4230c", false},
	"pvc":                     {"8b5ccf70f200383f799e382e125077b7", "c8c317de489c9971a7dbb62622af5caf", true},
	"plugin":                  {"9eacc38e06af4d886706b308368206b8", "e44da34ff9659ae7c59519efb98577ce", true},
	"plugin, plain":           {"b7620708f797fd15fe8f653e4031ab99", "14e59057d90ebe8578ef8eaf174a1734", true},
	"alluxio":                 {"a7677572f4ceb4976816665033ee0e9d", "c8c317de489c9971a7dbb62622af5caf", true},
	"nothing":                 {"626d49ec268f96f683ee2ed824da1f37", "c8c317de489c9971a7dbb62622af5caf", false},
	"a kind of the future":    {"3be56cd7d76ef7f6bbb4838db88c04c0", "c8c317de489c9971a7dbb62622af5caf", false},
	"a kind without settings": {"389e2fef83c64c416dc5361320ed2571", "4e5296cca6c04b76850e5fe426e2b8c5", false},
}

func TestMarksAndWaysOfEveryKindStayTheSame(t *testing.T) {
	for name, s := range sources {
		want := known[name]
		if mark := Mark(&gatewayv1alpha1.Item{RemotePath: "/models/v1/", Version: "v1"}, s); mark != want.mark {
			t.Errorf("%s: the mark is %s", name, mark)
		}
		if way := WayMark(s); way != want.way {
			t.Errorf("%s: the way is %s", name, way)
		}
	}
	sources["plugin, plain"].GetPlugin().Config = map[string]string{}
	if mark := Mark(&gatewayv1alpha1.Item{RemotePath: "/models/v1/", Version: "v1"},
		sources["plugin, plain"]); mark != known["plugin, plain"].mark {
		t.Errorf("settings without an entry have another mark than none: %s", mark)
	}
	kinds := (&gatewayv1alpha1.Source{}).ProtoReflect().Descriptor().Oneofs().ByName("config").Fields()
	for i := range kinds.Len() {
		if name := string(kinds.Get(i).Name()); sources[name] == nil {
			t.Errorf("no mark is held for %s", name)
		}
	}
}

func TestSourcesThatNeedWhatIsMountedAreKnown(t *testing.T) {
	for name, s := range sources {
		if got := UsesMounts(s); got != known[name].usesMounts {
			t.Errorf("%s: %t", name, got)
		}
	}
	for name, s := range map[string]*gatewayv1alpha1.Source{
		"a name like the identity": {Name: "pvc disk", Config: &gatewayv1alpha1.Source_Pvc{Pvc: &gatewayv1alpha1.PVCSource{Claim: "disk"}}},
		"no name of a claim":       {Config: &gatewayv1alpha1.Source_Pvc{Pvc: &gatewayv1alpha1.PVCSource{}}},
		"no settings of a claim":   {Config: &gatewayv1alpha1.Source_Pvc{}},
	} {
		if !UsesMounts(s) {
			t.Errorf("%s: read without what is mounted", name)
		}
	}
}
