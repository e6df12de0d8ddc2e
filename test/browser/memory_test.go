// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuda-io/kuda/internal/cli/clitest"
	"github.com/kuda-io/kuda/internal/dashboard/live"
)

const mib = 1 << 20

// heap returns how many bytes are in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Ten users are to fit into 300 MiB; three of them show what each takes.
func TestUsersWhoFollowTenThousandPodsFitTheServersMemory(t *testing.T) {
	const users, most = 3, 3 * 30 * mib
	objects := fleet(10000)
	w := &world{Client: clitest.New(time.Now(), interceptor.Funcs{}, objects...).Client}
	c := clitest.New(time.Now(), interceptor.Funcs{}, objects...).Client
	hub := live.NewHub(time.Now)
	before := heap()
	var looks []*live.Subscription
	for i := range users {
		look := hub.Subscribe(c, live.Key{Credentials: fmt.Sprint(i), Namespace: "shop", Name: "models"}, w.models(t))
		defer look.Close()
		looks = append(looks, look)
	}
	for _, look := range looks {
		for {
			picture, fresh := look.Latest()
			if picture != nil && len(picture.View.Pods) == 10000 {
				break
			}
			<-fresh
		}
	}
	used := heap() - before
	// What the last pictures were made of is garbage soon; a busy machine is not there yet.
	for limit := time.Now().Add(patience); used > most && time.Now().Before(limit); used = heap() - before {
		time.Sleep(time.Second)
	}
	t.Logf("%d users who follow 10000 pods take %d MiB", users, used/mib)
	if used > most {
		t.Errorf("that is more than %d MiB", most/mib)
	}
}
