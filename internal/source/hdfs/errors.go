// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/hdfs/block"
	"github.com/kuda-io/kuda/internal/source/hdfs/rpc"
)

// classifyError gives an error its class, and says what to do about it.
func (s *Source) classifyError(ctx context.Context, op string, err error) error {
	if context.Cause(ctx) != nil {
		return source.Wrap(ctx, op, err)
	}
	if _, ok := errors.AsType[*source.Error](err); ok {
		return source.Wrap(ctx, op, err)
	}
	if remote, ok := errors.AsType[*rpc.RemoteError](err); ok {
		class := remoteClass(remote)
		return &source.Error{Op: op, Class: class, Err: errors.New(s.messageWithAdvice(class, remote))}
	}
	if ticket, ok := errors.AsType[*rpc.TicketError](err); ok {
		return &source.Error{Op: op, Class: ticketClass(ticket.Err), Err: fmt.Errorf("%w; check the servicePrincipalName, and the principal %s",
			ticket, s.kerberos.Principal)}
	}
	switch {
	case errors.Is(err, rpc.ErrNoKerberos), errors.Is(err, block.ErrProtection):
		return &source.Error{Op: op, Class: source.ErrMisconfigured, Err: err}
	case errors.Is(err, rpc.ErrSilent):
		return &source.Error{Op: op, Class: source.ErrUnreachable, Err: err}
	case errors.Is(err, io.EOF):
		return &source.Error{Op: op, Class: source.ErrTemporary, Err: errors.New("the server closed the connection")}
	}
	return source.Wrap(ctx, op, err)
}

// remoteClass is the class of an answer of the namenode. It denies access to what
// is below a file, as if that were a directory without the right to enter it.
func remoteClass(e *rpc.RemoteError) error {
	if strings.Contains(e.Message, "(is not a directory)") {
		return source.ErrNotFound
	}
	return exceptionClass(e.Exception)
}

// exceptionClass maps the exceptions of the namenode. What is not known is an
// IOException of some kind, which may pass.
func exceptionClass(exception string) error {
	switch exception[strings.LastIndexAny(exception, ".$")+1:] {
	case "FileNotFoundException", "PathNotFoundException", "ParentNotDirectoryException", "PathIsNotDirectoryException":
		return source.ErrNotFound
	case "AccessControlException", "AuthorizationException", "AccessDeniedException":
		return source.ErrDenied
	case "InvalidPathException", "HadoopIllegalArgumentException", "IllegalArgumentException", "UnresolvedPathException",
		"UnsupportedOperationException", "RpcNoSuchMethodException", "RpcNoSuchProtocolException", "VersionMismatch", "FSLimitException":
		return source.ErrMisconfigured
	}
	return source.ErrTemporary
}

func (s *Source) messageWithAdvice(class error, e *rpc.RemoteError) string {
	text, _, _ := strings.Cut(e.Message, "\n")
	if text == "" {
		text = e.Exception
	}
	switch {
	case strings.Contains(text, "SIMPLE authentication is not enabled"):
		return text + "; the cluster demands Kerberos: give it"
	case errors.Is(class, source.ErrDenied) && s.kerberos != nil:
		return fmt.Sprintf("%s; check that the principal %s may read it", text, s.kerberos.Principal)
	case errors.Is(class, source.ErrDenied):
		return fmt.Sprintf("%s; check that the user %s may read it", text, s.user)
	case isStandby(e):
		return text + "; give the addresses of all namenodes, or wait until one of them is active"
	}
	return text
}

// isStandby reports whether another namenode may know better.
func isStandby(err error) bool {
	e, ok := errors.AsType[*rpc.RemoteError](err)
	return ok && (strings.HasSuffix(e.Exception, ".StandbyException") || strings.HasSuffix(e.Exception, ".ObserverRetryOnActiveException"))
}

// ticketClass tells a Kerberos server that does not answer from one that refuses.
func ticketClass(err error) error {
	text := err.Error()
	if _, ok := errors.AsType[net.Error](err); ok || strings.Contains(text, "Networking_Error") ||
		strings.Contains(text, "error sending to a KDC") ||
		strings.Contains(text, "connection refused") {
		return source.ErrUnreachable
	}
	return source.ErrCredentials
}
