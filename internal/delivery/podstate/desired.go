// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

const desiredFile = "desired.json"

// loadDesired reads what was last asked for; nil when nothing was.
func loadDesired(dir string) (*gatewayv1alpha1.WatchResponse, error) {
	text, err := os.ReadFile(filepath.Join(dir, desiredFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	m := &gatewayv1alpha1.WatchResponse{}
	if err == nil {
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, m)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the remembered desired state: %w", err)
	}
	return m, nil
}

func saveDesired(dir string, m *gatewayv1alpha1.WatchResponse) error {
	c := proto.CloneOf(m)
	c.CaBundle = nil
	text, err := protojson.Marshal(c)
	if err != nil {
		return fmt.Errorf("writing the desired state: %w", err)
	}
	return atomicfile.Write(filepath.Join(dir, desiredFile), text, 0o600)
}

// fileName reports whether a DataSet's name can name a file.
func fileName(name string) bool {
	return name != "" && name[0] != '.' && len(name) < 200 && !strings.ContainsAny(name, "/\x00")
}

func validUTF8(s string) string { return strings.ToValidUTF8(s, "�") }
