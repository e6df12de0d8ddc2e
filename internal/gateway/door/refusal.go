// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package door

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/kuda-io/kuda/internal/gateway/bounds"
	"github.com/kuda-io/kuda/internal/gateway/identity"
	"github.com/kuda-io/kuda/internal/gateway/peer"
	"github.com/kuda-io/kuda/internal/gateway/share"
)

// Refusal is a request that was not let through.
type Refusal struct {
	// Reason is one word, for metrics.
	Reason string
	// Procedure is empty when the named one does not exist.
	Procedure string
	// Caller is the zero value when it is not known.
	Caller identity.Pod
	// Err may be nil.
	Err error
}

// The reasons.
const (
	reasonProcedure   = "unknown_procedure"
	reasonProtocol    = "unknown_protocol"
	reasonToken       = "token"
	reasonNotInjected = "not_injected"
	reasonOwnStore    = "own_store"
	reasonKeeper      = "keeper"
	reasonBusy        = "busy"
	reasonShare       = "share"
	reasonPace        = "pace"
	reasonFull        = "full"
	reasonEager       = "eager"
	reasonTooLarge    = "too_large"
	reasonTooMuch     = "too_much"
	reasonMalformed   = "malformed"
	reasonSlow        = "slow_body"
	reasonUnavailable = "unavailable"
)

var (
	errTooMany   = errors.New("too many calls of this pod; slow down")
	errNotKeeper = errors.New("this is for the keeper of a node only, and everything else is for pods with the runtime only")
	errOwnStore  = errors.New("the pod has a store of its own, so there is nothing to say of its node's")
)

// retryAfter is what a caller is told to wait when the gateway is busy.
const retryAfter = time.Second

// refusals have for each error its reason and its code. A runtime tries again
// after each code but PermissionDenied and InvalidArgument, which are for what the
// same call would meet again.
var refusals = []struct {
	err    error
	reason string
	code   connect.Code
}{
	{identity.ErrNotInjected, reasonNotInjected, connect.CodePermissionDenied},
	{identity.ErrRefused, reasonToken, connect.CodeUnauthenticated},
	{identity.ErrBusy, reasonBusy, connect.CodeUnavailable},
	{errNotKeeper, reasonKeeper, connect.CodePermissionDenied},
	{errOwnStore, reasonOwnStore, connect.CodePermissionDenied},
	{peer.ErrFull, reasonFull, connect.CodeUnavailable},
	{errTooMany, reasonPace, connect.CodeResourceExhausted},
	{share.ErrShare, reasonShare, connect.CodeResourceExhausted},
	{share.ErrBusy, reasonBusy, connect.CodeUnavailable},
	{errTooLarge, reasonTooLarge, connect.CodeInvalidArgument},
	{bounds.ErrTooMuch, reasonTooMuch, connect.CodeInvalidArgument},
	{bounds.ErrMalformed, reasonMalformed, connect.CodeInvalidArgument},
	{errEncoding, reasonMalformed, connect.CodeInvalidArgument},
	{os.ErrDeadlineExceeded, reasonSlow, connect.CodeUnavailable},
	{context.DeadlineExceeded, reasonBusy, connect.CodeUnavailable},
	{context.Canceled, reasonUnavailable, connect.CodeCanceled},
	{errBody, reasonMalformed, connect.CodeInvalidArgument},
}

// classifyError returns the reason and the code of an error; any error that is not
// listed is a failed question to the API server.
func classifyError(err error) (string, connect.Code) {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.reason, r.code
		}
	}
	return reasonUnavailable, connect.CodeUnavailable
}

// refuseRequest replies in the caller's protocol, without reading the body.
func (d *Door) refuseRequest(w http.ResponseWriter, r *http.Request, caller identity.Pod, err error) {
	reason, code := classifyError(err)
	d.reportRefusal(r, &caller, reason, err)
	refusal := connect.NewError(code, err)
	if reason == reasonBusy {
		if detail, err := connect.NewErrorDetail(&errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)}); err == nil {
			refusal.AddDetail(detail)
		}
	}
	_ = d.errors.Write(w, r, refusal)
}

func (d *Door) reportRefusal(r *http.Request, caller *identity.Pod, reason string, err error) {
	refusal := Refusal{Reason: reason, Err: err}
	if _, ok := d.options.Procedures[r.URL.Path]; ok {
		refusal.Procedure = r.URL.Path
	}
	if caller != nil {
		refusal.Caller = *caller
	}
	d.options.Refused(refusal)
}
