// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"fmt"
	"strings"
)

// What tools write into the annotations of layers.
const (
	// annotationTitle is the name of the file that a layer is: the OCI image
	// specification, used by ORAS.
	annotationTitle = "org.opencontainers.image.title"
	// annotationUnpack says that the layer is an archive of the directory that
	// the title names: ORAS.
	annotationUnpack = "io.deis.oras.content.unpack"
	// annotationModelPath is the name of the file in a model: the CNCF ModelPack
	// specification.
	annotationModelPath = "org.cncf.model.filepath"
)

// typeEmpty is the type of a layer that stands for none.
const typeEmpty = "application/vnd.oci.empty.v1+json"

// form is what a layer is made of.
type form int

const (
	formNone form = iota
	// formFile: the blob is a file.
	formFile
	// formTar: the blob is an archive of files.
	formTar
	// formImage: the blob is an archive of changes to the files of the layers
	// before it.
	formImage
)

// layerForm decides what a layer is. name is that of a file.
func layerForm(d descriptor) (f form, name string, err error) {
	archive := isArchive(d.MediaType)
	title, modelPath := d.Annotations[annotationTitle], d.Annotations[annotationModelPath]
	switch {
	case d.MediaType == typeEmpty && title == "":
		return formNone, "", nil
	case title != "" && d.Annotations[annotationUnpack] == "true":
		return formTar, "", nil
	case modelPath != "" && archive:
		return formTar, "", nil
	case modelPath != "":
		return formFile, modelPath, nil
	case title != "":
		return formFile, title, nil
	case archive:
		return formImage, "", nil
	}
	return formNone, "", fmt.Errorf(
		"a layer of the type %q has no file name; push it with the annotation %s, as ORAS does", d.MediaType, annotationTitle)
}

// isArchive reports whether a type is one of tar archives. How they are packed
// their first bytes tell: what types say about it is not always so.
func isArchive(mediaType string) bool {
	for _, suffix := range []string{"tar", "tar+gzip", "tar.gzip", "tar+gz", "tar.gz", "tar+zstd", "tar.zstd"} {
		if strings.HasSuffix(mediaType, "."+suffix) || strings.HasSuffix(mediaType, "/"+suffix) {
			return true
		}
	}
	return false
}
