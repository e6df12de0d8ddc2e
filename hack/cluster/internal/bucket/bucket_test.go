// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package bucket

import "testing"

func TestMisspeltSettingsAreNotIgnored(t *testing.T) {
	for _, given := range []map[string]string{{"buckets": "x"}, {"bucket": ""}, {"secretKey": " "}, {"bucket": "b1"}, {"bucket": "Models"}} {
		if _, err := Parse(given, "127.0.0.1:1"); err == nil {
			t.Errorf("%v was accepted", given)
		}
	}
	got, err := Parse(map[string]string{"bucket": "models"}, "127.0.0.1:1")
	if err != nil || got.Bucket != "models" || got.AccessKey == "" || got.SecretKey == "" || got.Endpoint != "http://127.0.0.1:1" {
		t.Errorf("got %+v, %v", got, err)
	}
}
