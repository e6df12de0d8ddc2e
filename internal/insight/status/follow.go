// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// ErrDeleted is the end of a Follower whose DataSet is gone.
var ErrDeleted = errors.New("was deleted")

// Follower holds a DataSet and its Data as they are now.
type Follower struct {
	client   client.WithWatch
	key      types.NamespacedName
	datasets cache.Store
	data     cache.Store
	synced   []cache.InformerSynced
	// changed says that there may be something new.
	changed chan struct{}
	// troubles are what keeps each reader from being up to date: one that goes on does not
	// take back the trouble of another.
	troubles []*trouble
	reading  *trouble
}

// trouble is the error of the last try of a reader, if that failed, and of the last that
// said that the caller may not read.
type trouble struct {
	atomic.Pointer[error]
	refusal atomic.Pointer[error]
}

func (f *Follower) trackReader() *trouble {
	t := &trouble{}
	f.troubles = append(f.troubles, t)
	return t
}

// recordError notes what came of a try, and returns it.
func (t *trouble) recordError(err error) error {
	if err == nil {
		t.Store(nil)
		return nil
	}
	t.Store(&err)
	return err
}

// Follow starts to follow a DataSet, and its Data where the user may read them,
// until the context ends.
func Follow(ctx context.Context, c client.WithWatch, key types.NamespacedName, withData bool) *Follower {
	f := &Follower{client: c, key: key, changed: make(chan struct{}, 1)}
	f.reading = f.trackReader()
	f.datasets = f.startInformer(ctx, c, &v1alpha1.DataSet{}, func() client.ObjectList { return &v1alpha1.DataSetList{} }, client.ListOptions{
		Namespace: key.Namespace, FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, key.Name),
	})
	if !withData {
		return f
	}
	f.data = f.startInformer(ctx, c, &v1alpha1.Data{}, func() client.ObjectList { return &v1alpha1.DataList{} }, client.ListOptions{
		Namespace: key.Namespace, LabelSelector: labels.SelectorFromSet(labels.Set{v1alpha1.LabelDataSet: key.Name}),
	})
	return f
}

func (f *Follower) startInformer(ctx context.Context, c client.WithWatch, of client.Object, list func() client.ObjectList,
	options client.ListOptions) cache.Store {
	store, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: &source{client: c, list: list, options: options, trouble: f.trackReader()},
		ObjectType:    of,
		Transform:     trimObject,
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { f.signalChange() },
			UpdateFunc: func(any, any) { f.signalChange() },
			DeleteFunc: func(any) { f.signalChange() },
		},
	})
	f.synced = append(f.synced, informer.HasSynced)
	go informer.RunWithContext(ctx)
	return store
}

func (f *Follower) signalChange() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// Changed returns the channel that says that there may be something new.
func (f *Follower) Changed() <-chan struct{} { return f.changed }

// hasSynced reports whether everything was read once.
func (f *Follower) hasSynced() bool {
	for _, synced := range f.synced {
		if !synced() {
			return false
		}
	}
	return true
}

// Refresh brings the input up to date with what is known by now. The first list may
// come from a cache of the API server that is older than the DataSet that was read before.
func (f *Follower) Refresh(ctx context.Context, in *Input) error {
	if !f.hasSynced() {
		return nil
	}
	d, data := f.currentObjects()
	if d == nil {
		d = &v1alpha1.DataSet{}
		err := f.client.Get(ctx, f.key, d)
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("DataSet %s %w", f.key.Name, ErrDeleted)
		}
		_ = f.reading.recordError(err)
		if err != nil {
			return nil //nolint:nilerr // the view shows it, and the next look may succeed
		}
	} else {
		f.reading.Store(nil)
	}
	if d.UID == in.DataSet.UID && d.Generation < in.DataSet.Generation {
		return nil
	}
	in.DataSet, in.Data = d, data
	return nil
}

// currentObjects returns what the informers have; no DataSet when it was deleted.
func (f *Follower) currentObjects() (*v1alpha1.DataSet, []*v1alpha1.Data) {
	var data []*v1alpha1.Data
	if f.data != nil {
		for _, object := range f.data.List() {
			data = append(data, object.(*v1alpha1.Data))
		}
	}
	object, exists, err := f.datasets.GetByKey(f.key.String())
	if err != nil || !exists {
		return nil, data
	}
	return object.(*v1alpha1.DataSet), data
}

// source lists and watches through the client, and notes what keeps it from that.
type source struct {
	client  client.WithWatch
	list    func() client.ObjectList
	options client.ListOptions
	trouble *trouble
}

func (s *source) listOptions(raw metav1.ListOptions) *client.ListOptions {
	options := s.options
	options.Raw = &raw
	options.Limit, options.Continue = raw.Limit, raw.Continue
	return &options
}

func (s *source) ListWithContext(ctx context.Context, raw metav1.ListOptions) (runtime.Object, error) {
	list := s.list()
	err := s.client.List(ctx, list, s.listOptions(raw))
	s.trouble.refusal.Store(nil)
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		s.trouble.refusal.Store(&err)
	}
	return list, s.trouble.recordError(err)
}

func (s *source) WatchWithContext(ctx context.Context, raw metav1.ListOptions) (watch.Interface, error) {
	w, err := s.client.Watch(ctx, s.list(), s.listOptions(raw))
	return w, s.trouble.recordError(err)
}

// List and Watch are there for the interface's sake.
func (s *source) List(raw metav1.ListOptions) (runtime.Object, error) {
	return s.ListWithContext(context.Background(), raw)
}

// Watch is like List.
func (s *source) Watch(raw metav1.ListOptions) (watch.Interface, error) {
	return s.WatchWithContext(context.Background(), raw)
}

// IsWatchListSemanticsUnSupported reports whether a list is needed before the
// watch: old servers know no other way.
func (s *source) IsWatchListSemanticsUnSupported() bool { return true }

// Err returns what keeps the follower from being up to date, or nil.
func (f *Follower) Err() error {
	for _, t := range f.troubles {
		if err := t.Load(); err != nil {
			return *err
		}
	}
	return nil
}

// Refusal returns why the caller may no longer read what is followed, or nil. Who may list and
// not watch is told of it by Problem only.
func (f *Follower) Refusal() error {
	for _, t := range f.troubles {
		if err := t.refusal.Load(); err != nil {
			return *err
		}
	}
	return nil
}

// Problem says what keeps the view from being up to date; last is when it was.
func (f *Follower) Problem(now, last time.Time) string {
	if err := f.Err(); err != nil {
		return fmt.Sprintf("not up to date since %s: %v", now.Sub(last).Round(time.Second), err)
	}
	return ""
}
