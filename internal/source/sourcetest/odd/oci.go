// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package odd

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Artifact is the manifest of a registry; what follows "//" is a file in it.
const Artifact = repository + ":v1"

const repository = "odd/artifact"

// layer is a descriptor whose size may be missing.
type layer struct {
	MediaType   string            `json:"mediaType"`
	Digest      digest.Digest     `json:"digest"`
	Size        *int              `json:"size,omitempty"`
	Annotations map[string]string `json:"annotations"`
}

func (s *Server) serveOCI(w http.ResponseWriter, r *http.Request) {
	name, inRepository := strings.CutPrefix(r.URL.Path, "/v2/"+repository+"/")
	if !inRepository {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if _, isManifest := strings.CutPrefix(name, "manifests/"); isManifest {
		s.serveManifest(w)
		return
	}
	for _, path := range s.pathsBelow("") {
		f, faults, ok := s.findFile(path)
		if ok && name == "blobs/"+f.digest.String() {
			s.sendFile(w, r, f, faults)
			return
		}
	}
	w.WriteHeader(http.StatusNotFound)
}

func (s *Server) serveManifest(w http.ResponseWriter) {
	w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
	if instead, replaced := s.countListing(); replaced {
		_, _ = w.Write(instead)
		return
	}
	layers := []layer{}
	for _, path := range s.pathsBelow("") {
		f, faults, _ := s.findFile(path)
		size := len(f.content)
		if faults.ZeroLength {
			size = 0
		}
		l := layer{MediaType: "application/octet-stream", Digest: f.digest, Size: &size,
			Annotations: map[string]string{ocispec.AnnotationTitle: path}}
		if faults.NoLength {
			l.Size = nil
		}
		layers = append(layers, l)
		if faults.Twice {
			layers = append(layers, l)
		}
		if faults.Contradict {
			another := size + 1
			l.Size = &another
			layers = append(layers, l)
		}
	}
	text, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageManifest, "layers": layers})
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Docker-Content-Digest", digest.FromBytes(text).String())
	_, _ = w.Write(text)
}
