// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// The exit codes of every command.
const (
	// ExitDone: it was done, or the answer is good.
	ExitDone = 0
	// ExitNegative: the command worked, and the answer is not the good one: the
	// rollout failed, there are differences, something is wrong.
	ExitNegative = 1
	// ExitError: the command could not do its work.
	ExitError = 2
	// ExitTimeout: the time that --timeout gives was over.
	ExitTimeout = 3
	// ExitInterrupted: it was interrupted.
	ExitInterrupted = 130
)

// Exit is an error with an exit code. Without a cause nothing more is printed:
// the command has said what there is to say.
type Exit struct {
	Code  int
	Cause error
}

func (e *Exit) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Cause.Error()
}

func (e *Exit) Unwrap() error { return e.Cause }

// Negative is the end of a command whose answer is not the good one.
func Negative() error { return &Exit{Code: ExitNegative} }

// Code returns the exit code that an error stands for.
func Code(err error) int {
	var exit *Exit
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &exit):
		return exit.Code
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	}
	return ExitError
}

// Line is what is printed of an error: one line that says what to do, or
// nothing.
func Line(err error) string {
	var exit *Exit
	if errors.As(err, &exit) {
		if exit.Cause == nil {
			return ""
		}
		err = exit.Cause
	}
	if err == nil || errors.Is(err, context.Canceled) {
		return ""
	}
	return strings.Join(strings.Fields(explainError(err)), " ")
}

// explainError returns the error's text, with what to do where the error is a common one.
func explainError(err error) string {
	switch {
	case emptyConfig(err):
		return noConfig(os.Getenv(clientcmd.RecommendedConfigPathEnvVar))
	case meta.IsNoMatchError(err) && strings.Contains(err.Error(), v1alpha1.GroupVersion.Group):
		return "this cluster does not know DataSets: install Kuda (kubectl apply --server-side -f install/kuda.yaml), or choose another " +
			"cluster by --context"
	case apierrors.IsUnauthorized(err):
		return "the cluster does not accept these credentials: log in again, or choose others by --context or --user"
	case apierrors.IsForbidden(err):
		return err.Error() + "; ask for that right"
	case apierrors.IsConflict(err):
		return err.Error() + "; it was changed meanwhile: look at it and try again"
	case isUntrusted(err):
		return err.Error() + "; the kubeconfig file does not trust the certificate of this server: is it the right cluster, and the file " +
			"up to date (kubectl config current-context)?"
	case isNetworkError(err):
		return err.Error() + "; is the cluster reachable, and is it the right one (kubectl config current-context)?"
	}
	return err.Error()
}

// isNetworkError reports whether a server could not be reached. The interface
// net.Error says less: the errors of files implement it, too.
func isNetworkError(err error) bool {
	var operation *net.OpError
	var name *net.DNSError
	var request *url.Error
	return errors.As(err, &operation) || errors.As(err, &name) || errors.As(err, &request) && request.Timeout()
}

// isUntrusted reports whether a server showed a certificate that is not trusted.
func isUntrusted(err error) bool {
	var verification *tls.CertificateVerificationError
	return errors.As(err, &verification)
}

// noConfig says why no cluster is configured: often the variable names files that are
// not there, which kubectl's rules pass over.
func noConfig(variable string) string {
	var missing []string
	for _, path := range filepath.SplitList(variable) {
		//nolint:gosec // The user names the file, and it is not opened.
		if _, err := os.Stat(path); path != "" && errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, path)
		}
	}
	if len(missing) > 0 {
		return "no cluster is configured: KUBECONFIG names " + strings.Join(missing, " and ") + ", which is not there; correct it, or name a " +
			"file by --kubeconfig"
	}
	return "no cluster is configured; set KUBECONFIG, or name a file by --kubeconfig"
}

// emptyConfig reports whether there is no kubeconfig file, or none that says
// anything; the loader's own test does not look behind a wrapped error.
func emptyConfig(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if clientcmd.IsEmptyConfig(err) {
			return true
		}
	}
	return false
}
