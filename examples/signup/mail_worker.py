"""A worker in Python, with nothing but pyzmq: "sends" each mail into the outbox. Arguments: the queue's URL, the outbox folder."""

import json
import os
import sys
import time
import uuid

import zmq

url, outbox = sys.argv[1:3]
os.makedirs(outbox, exist_ok=True)

broker = zmq.Context().socket(zmq.DEALER)
broker.connect(url)
broker.send_multipart([b"HQ1", b"WORK", b"mails", b"1"])
print("the Python worker is ready", flush=True)
while True:
    _, verb, *frames = broker.recv_multipart()
    if verb != b"TASK":
        continue
    lease, body, queue, attempt, timeout, task = frames
    try:
        mail = json.loads(body)
        time.sleep(0.02)  # as long as a mail server takes to answer
        file = os.path.join(outbox, f"{uuid.uuid4()}.eml")
        with open(file, "w", encoding="utf-8") as out:
            out.write(f"To: {mail['to']}\nSubject: {mail['subject']}\n\n{mail['body']}")
        broker.send_multipart([b"HQ1", b"DONE", lease, json.dumps({"file": file, "sentBy": "Python"}).encode()])
    except Exception as error:
        broker.send_multipart([b"HQ1", b"FAIL", lease, str(error).encode()])
