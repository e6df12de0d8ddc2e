// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package bounds

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

var table = Table{
	"kuda.gateway.v1alpha1.WatchRequest.datasets":        {Count: 8},
	"kuda.gateway.v1alpha1.ReportRequest.items":          {Count: 8},
	"kuda.gateway.v1alpha1.ItemStatus.message":           {Length: 2000},
	"kuda.gateway.v1alpha1.ReportStoreRequest.snapshots": {Count: 8},
	"kuda.gateway.v1alpha1.StoredSnapshot.marks":         {Count: 2},
}

func bytesField(number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
}

func varintField(number protowire.Number) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), 1)
}

func marshalMessage(t *testing.T, m proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func descriptorOf(m proto.Message) protoreflect.MessageDescriptor {
	return m.ProtoReflect().Descriptor()
}

func TestWhatRuntimesSendPasses(t *testing.T) {
	report := &gatewayv1alpha1.ReportRequest{Data: "d", Revision: "r", Withdrawn: true,
		Prefetch: &gatewayv1alpha1.PrefetchStatus{Revision: "n", Phase: gatewayv1alpha1.Phase_PHASE_FAILED, Message: strings.Repeat("m", 500)}}
	stock := &gatewayv1alpha1.ReportStoreRequest{StoreId: "s", CapacityBytes: 1}
	for range 8 {
		report.Items = append(report.Items, &gatewayv1alpha1.ItemStatus{Name: "n", Message: strings.Repeat("m", 2000),
			StartTime: timestamppb.Now(), Bytes: 1 << 60, Origin: gatewayv1alpha1.Origin_ORIGIN_NODE})
		stock.Snapshots = append(stock.Snapshots, &gatewayv1alpha1.StoredSnapshot{Id: "i", Marks: []string{"a", "b"}, Pods: 7, Preheated: true})
	}
	watch := &gatewayv1alpha1.WatchRequest{RuntimeVersion: "v0.1.0", Datasets: []string{"a", "b"}}
	hook := &gatewayv1alpha1.RunHookRequest{Data: "d", Point: gatewayv1alpha1.HookPoint_HOOK_POINT_POST_DOWNLOAD}
	for _, m := range []proto.Message{report, stock, watch, hook, &gatewayv1alpha1.ReportRequest{}} {
		if err := table.Check(descriptorOf(m), marshalMessage(t, m)); err != nil {
			t.Errorf("%T: %v", m, err)
		}
	}
	newer := append(marshalMessage(t, report), bytesField(30, []byte("a field of tomorrow"))...)
	newer = append(newer, protowire.AppendFixed64(protowire.AppendTag(nil, 1000, protowire.Fixed64Type), 1)...)
	if err := table.Check(descriptorOf(report), newer); err != nil {
		t.Errorf("a newer runtime's: %v", err)
	}
}

func TestAMessageThatBecomesLargeIsRefused(t *testing.T) {
	report, stock := descriptorOf(&gatewayv1alpha1.ReportRequest{}), descriptorOf(&gatewayv1alpha1.ReportStoreRequest{})
	empty := bytesField(4, nil)
	for name, c := range map[string]struct {
		message protoreflect.MessageDescriptor
		data    []byte
		want    error
		says    string
	}{
		"empty elements":            {report, bytes.Repeat(empty, 1<<20), ErrTooMuch, "ReportRequest.items occurs more than 8 times"},
		"empty elements of a store": {stock, bytes.Repeat(bytesField(7, nil), 1<<20), ErrTooMuch, "snapshots occurs more than 8 times"},
		"empty texts in an element": {stock, bytesField(7, bytes.Repeat(bytesField(2, nil), 1000)), ErrTooMuch,
			"marks occurs more than 2 times"},
		"a long text": {report, bytesField(1, make([]byte, 513)), ErrTooMuch, "data has 513 bytes, at most 512"},
		"a long message of an element": {report, bytesField(4, bytesField(6, make([]byte, 2001))), ErrTooMuch,
			"message has 2001 bytes, at most 2000"},
		"one message again and again":    {report, bytes.Repeat(bytesField(6, nil), 1000), ErrTooMuch, "prefetch occurs more than 1 times"},
		"one number again and again":     {report, bytes.Repeat(varintField(5), 1000), ErrTooMuch, "withdrawn occurs"},
		"unknown fields":                 {report, bytes.Repeat(varintField(29), 1000), ErrTooMuch, "unknown fields"},
		"unknown fields of high numbers": {report, bytes.Repeat(varintField(1<<28), 1000), ErrTooMuch, "unknown fields"},
		"unknown fields of an element":   {report, bytesField(4, bytes.Repeat(varintField(29), 1000)), ErrTooMuch, "unknown fields"},
		"a long unknown field":           {report, bytesField(29, make([]byte, 65<<10)), ErrTooMuch, "longer than"},
		"known fields of another kind":   {report, bytes.Repeat(varintField(4), 1000), ErrTooMuch, "unknown fields"},
		"nested groups": {report, bytes.Repeat(protowire.AppendTag(nil, 29, protowire.StartGroupType), 1000),
			ErrMalformed, ""},
		"the end of a group": {report, protowire.AppendTag(nil, 29, protowire.EndGroupType), ErrMalformed, ""},
		"a length beyond the end": {report, protowire.AppendVarint(protowire.AppendTag(nil, 4, protowire.BytesType), 1<<40),
			ErrMalformed, ""},
		"a tag that ends early":           {report, []byte{0x80}, ErrMalformed, ""},
		"field number 0":                  {report, []byte{0x02, 0x00}, ErrMalformed, ""},
		"times in an element, many times": {report, bytesField(4, bytes.Repeat(bytesField(7, nil), 1000)), ErrTooMuch, "start_time occurs"},
		"unknown fields within a time": {report, bytesField(4, bytesField(7, bytes.Repeat(varintField(29), 1000))),
			ErrTooMuch, "unknown fields"},
		"a list that has no limit is none": {descriptorOf(&gatewayv1alpha1.WatchResponse{}), bytesField(2, nil), ErrTooMuch,
			"gone occurs more than 0 times"},
	} {
		err := table.Check(c.message, c.data)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v and %q", name, err, c.want, c.says)
		}
		if n := testing.AllocsPerRun(10, func() { _ = table.Check(c.message, c.data) }); n > 20 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// FuzzCheck holds what the walk promises: what it lets pass is unmarshalled into
// no more than the table allows, and what it calls malformed is.
func FuzzCheck(f *testing.F) {
	seed, err := proto.Marshal(&gatewayv1alpha1.ReportStoreRequest{StoreId: "s",
		Snapshots: []*gatewayv1alpha1.StoredSnapshot{{Id: "i", Marks: []string{"m"}, LastUsed: timestamppb.Now()}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add(bytes.Repeat(bytesField(7, nil), 20))
	f.Add(bytesField(7, bytes.Repeat(bytesField(2, []byte("x")), 3)))
	f.Add([]byte{0x3b, 0x3c})
	f.Fuzz(func(t *testing.T, data []byte) {
		var m gatewayv1alpha1.ReportStoreRequest
		bad := proto.Unmarshal(data, &m)
		switch err := table.Check(descriptorOf(&m), data); {
		case errors.Is(err, ErrMalformed) && bad == nil && !hasGroup(data):
			t.Fatalf("called malformed: %v", err)
		case err == nil && bad == nil:
			if len(m.GetSnapshots()) > 8 || len(m.GetStoreId()) > maxText {
				t.Fatalf("%d snapshots passed", len(m.GetSnapshots()))
			}
			for _, s := range m.GetSnapshots() {
				if len(s.GetMarks()) > 2 || len(s.GetPath()) > maxText {
					t.Fatalf("%d marks passed", len(s.GetMarks()))
				}
			}
		}
	})
}

// hasGroup reports whether there may be a group anywhere.
func hasGroup(data []byte) bool {
	for _, b := range data {
		if b&7 == 3 || b&7 == 4 {
			return true
		}
	}
	return false
}
