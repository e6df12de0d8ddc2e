// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion names this API in manifests: data.kuda.io/v1alpha1.
	GroupVersion = schema.GroupVersion{Group: "data.kuda.io", Version: "v1alpha1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme makes a scheme know DataSet and Data.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &DataSet{}, &DataSetList{}, &Data{}, &DataList{}, &NodeStore{}, &NodeStoreList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
