# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
"""Downloads one object with the AWS common runtime: aws_crt.py MODE ENDPOINT BUCKET KEY FILE.

MODE is "default", the transfer manager that boto3[crt] uses, with its own
settings but without TLS, which boto3 itself cannot be told to leave out; or
"tuned", the runtime's S3 client with parts of 16 MiB and a target of 20 Gbit/s.
Keys and region come from the usual AWS_* variables.
"""
import os
import sys
import threading
import urllib.parse


def default_get(endpoint, bucket, key, file):
    from awscrt.auth import AwsCredentialsProvider
    from botocore.session import Session
    from s3transfer.crt import BotocoreCRTRequestSerializer, CRTTransferManager, create_s3_crt_client

    region = os.environ["AWS_REGION"]
    credentials = AwsCredentialsProvider.new_static(
        os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    )
    client = create_s3_crt_client(region, crt_credentials_provider=credentials, use_ssl=False)
    serializer = BotocoreCRTRequestSerializer(Session(), {"region_name": region, "endpoint_url": endpoint})
    with CRTTransferManager(client, serializer) as manager:
        manager.download(bucket, key, file).result()


def tuned_get(endpoint, bucket, key, file):
    from awscrt.auth import AwsCredentialsProvider
    from awscrt.http import HttpHeaders, HttpRequest
    from awscrt.io import ClientBootstrap, DefaultHostResolver, EventLoopGroup
    from awscrt.s3 import S3Client, S3RequestTlsMode, S3RequestType, create_default_s3_signing_config

    url = urllib.parse.urlsplit(endpoint)
    region = os.environ["AWS_REGION"]
    group = EventLoopGroup()
    client = S3Client(
        bootstrap=ClientBootstrap(group, DefaultHostResolver(group)),
        region=region,
        signing_config=create_default_s3_signing_config(
            region=region,
            credential_provider=AwsCredentialsProvider.new_static(
                os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
            ),
        ),
        tls_mode=S3RequestTlsMode.DISABLED,
        part_size=16 << 20,
        throughput_target_gbps=20,
    )
    done = threading.Event()
    failure = []

    def on_done(error=None, **_):
        if error is not None:
            failure.append(error)
        done.set()

    request = client.make_request(
        type=S3RequestType.GET_OBJECT,
        request=HttpRequest("GET", f"/{bucket}/{key}", HttpHeaders([("host", url.netloc)])),
        recv_filepath=file,
        on_done=on_done,
    )
    done.wait()
    request.finished_future.result()
    if failure:
        raise failure[0]


if __name__ == "__main__":
    {"default": default_get, "tuned": tuned_get}[sys.argv[1]](*sys.argv[2:])
