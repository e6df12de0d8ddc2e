// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package createca

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/pki"
)

// DefaultSecretName is the name of the CA's Secret.
const DefaultSecretName = "kuda-ca"

// Command is `kuda-manager create-ca`.
func Command() *cobra.Command {
	key := types.NamespacedName{}
	cmd := &cobra.Command{
		Use:   "create-ca",
		Short: "Create the Secret with Kuda's certificate authority, unless it is there",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if key.Namespace == "" || key.Name == "" {
				return errors.New("--namespace and --secret must not be empty")
			}
			config, err := ctrl.GetConfig()
			if err != nil {
				return fmt.Errorf("finding the API server: %w", err)
			}
			c, err := client.New(config, client.Options{})
			if err != nil {
				return fmt.Errorf("making a client: %w", err)
			}
			created, err := Create(cmd.Context(), c, key, pki.DefaultPolicy(), time.Now())
			if err != nil {
				return err
			}
			log := logr.FromContextOrDiscard(cmd.Context())
			log.Info("made sure that the CA exists", "secret", key, "created", created)
			return nil
		},
	}
	cmd.Flags().StringVar(&key.Namespace, "namespace", "kuda-system", "namespace of the Secret")
	cmd.Flags().StringVar(&key.Name, "secret", DefaultSecretName, "name of the Secret")
	return cmd
}

// Creator is the one right that is needed.
type Creator interface {
	Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error
}

// Create makes the Secret with one generation and reports whether it did; a Secret
// that is already there is left as it is.
func Create(ctx context.Context, c Creator, key types.NamespacedName, policy pki.Policy, now time.Time) (bool, error) {
	generation, err := pki.NewGeneration(policy, now)
	if err != nil {
		return false, err
	}
	data, err := generation.SecretData()
	if err != nil {
		return false, err
	}
	err = c.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace,
			Name:      key.Name,
			Labels:    map[string]string{"app.kubernetes.io/part-of": "kuda"},
		},
		Type: corev1.SecretTypeOpaque,
		Data: data,
	})
	if apierrors.IsAlreadyExists(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("creating Secret %s: %w", key, err)
	}
	return true, nil
}
