// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
)

// What --content becomes.
const (
	contentRepository = "kuda/content"
	contentTag        = "v1"
)

// descriptor is that of the OCI image specification.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// pusher stores blobs and manifests.
type pusher struct {
	ctx context.Context
	to  Endpoints
}

// fill pushes the files below dir as one artifact, a layer each, and returns
// its name.
func fill(ctx context.Context, to Endpoints, dir string) (string, error) {
	p := pusher{ctx, to}
	layers := []descriptor{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		layer, err := p.file(path)
		if err != nil {
			return err
		}
		layer.Annotations = map[string]string{"org.opencontainers.image.title": filepath.ToSlash(name)}
		layers = append(layers, layer)
		return nil
	})
	if err == nil {
		err = p.manifest(layers)
	}
	if err != nil {
		return "", fmt.Errorf("storing %s: %w", dir, err)
	}
	return contentRepository + ":" + contentTag, nil
}

// file pushes one file.
func (p pusher) file(path string) (descriptor, error) {
	f, err := os.Open(path)
	if err != nil {
		return descriptor{}, err
	}
	defer f.Close()
	h := sha256.New()
	size, err := io.Copy(h, f)
	if err != nil {
		return descriptor{}, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return descriptor{}, err
	}
	d := descriptor{MediaType: "application/octet-stream", Digest: fmt.Sprintf("sha256:%x", h.Sum(nil)), Size: size}
	return d, p.blob(d, f)
}

// blob pushes a blob in one piece.
func (p pusher) blob(d descriptor, body io.Reader) error {
	header, err := p.do(http.MethodPost, "http://"+p.to.Address+"/v2/"+contentRepository+"/blobs/uploads/", "", nil, 0)
	if err != nil {
		return err
	}
	location, err := url.Parse(header.Get("Location"))
	if err != nil {
		return err
	}
	query := location.Query()
	query.Set("digest", d.Digest)
	location.RawQuery = query.Encode()
	_, err = p.do(http.MethodPut, location.String(), "application/octet-stream", body, d.Size)
	return err
}

func (p pusher) manifest(layers []descriptor) error {
	empty := []byte("{}")
	config := descriptor{MediaType: "application/vnd.oci.empty.v1+json", Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(empty)),
		Size: int64(len(empty))}
	if err := p.blob(config, bytes.NewReader(empty)); err != nil {
		return err
	}
	const mediaType = "application/vnd.oci.image.manifest.v1+json"
	text, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": mediaType, "artifactType": "application/vnd.kuda.content",
		"config": config, "layers": layers,
	})
	if err != nil {
		return err
	}
	_, err = p.do(http.MethodPut, "http://"+p.to.Address+"/v2/"+contentRepository+"/manifests/"+contentTag, mediaType,
		bytes.NewReader(text), int64(len(text)))
	return err
}

// do makes a request and returns the header of its answer, a success.
func (p pusher) do(method, location, contentType string, body io.Reader, size int64) (http.Header, error) {
	if body != nil {
		body = io.NopCloser(body) // the transport must not close a file it did not open
	}
	request, err := http.NewRequestWithContext(p.ctx, method, location, body)
	if err != nil {
		return nil, err
	}
	if request.ContentLength = size; size == 0 {
		request.Body = http.NoBody
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if p.to.User != "" {
		request.SetBasicAuth(p.to.User, p.to.Password)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 299 {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return nil, fmt.Errorf("the registry answered %s: %s", response.Status, text)
	}
	return response.Header, nil
}
