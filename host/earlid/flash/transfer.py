# SPDX-License-Identifier: MIT
"""Transfer format: many files as one compressed stream, in blocks that a REPL's input buffer holds. Pure: bytes in, bytes out.

The stream is zlib's (RFC 1950) with a small window, over lines that each begin one entry:

    w <path> <bytes>\\n<contents>      write a file
    c <path> <source>\\n               copy a file that the board has already

A block is at most 250 bytes and travels as `length + 5`, `mask`, `contents XOR mask`. 250 bytes forbid at most 251
masks, so there is always one under which no byte is 3: nothing in the stream is Ctrl-C, and Ctrl-C always ends a
transfer. The board asks for each block with one byte, so nothing is on its way while it writes flash: an ESP32's 260
bytes of serial buffer cannot overflow.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping

BLOCK_BYTES = 250
WINDOW_BITS = 12  # 4 KB of the board's memory while it unpacks
CTRL_C = 3
LENGTH_OFFSET = 5  # keeps the length byte off Ctrl-C
BLOCK_REQUEST = b"\x06"  # what the board sends to request a block


def sha256(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def pack(files: Mapping[str, bytes], reusable: Mapping[str, str]) -> bytes:
    """One compressed stream that writes every file.

    Args:
        files: contents by absolute path on the board.
        reusable: paths on the board by the SHA-256 of their contents; such contents are copied, not sent.
    """
    compressor = zlib.compressobj(9, zlib.DEFLATED, WINDOW_BITS, 9)
    parts = []
    for path, data in files.items():
        source = reusable.get(sha256(data))
        entry = f"c {path} {source}\n".encode() if source else f"w {path} {len(data)}\n".encode() + data
        parts.append(compressor.compress(entry))
    return b"".join(parts) + compressor.flush()


def blocks(stream: bytes) -> list[bytes]:
    """The stream cut and masked, ready for the wire."""
    return [_mask(stream[at : at + BLOCK_BYTES]) for at in range(0, len(stream), BLOCK_BYTES)]


def _mask(plain: bytes) -> bytes:
    forbidden = {byte ^ CTRL_C for byte in plain} | {CTRL_C}
    mask = next(value for value in range(256) if value not in forbidden)
    return bytes((len(plain) + LENGTH_OFFSET, mask)) + bytes(byte ^ mask for byte in plain)


# Runs on the board. Makes directories as needed; a file that cannot be written ends it with a traceback.
RECEIVE = f"""
import sys,io,os,deflate
class S(io.IOBase):
 b=bytearray({BLOCK_BYTES});h=bytearray(2);n=0;p=0;k=0
 def fill(s,v,n):
  v=memoryview(v);i=0
  while i<n:i+=sys.stdin.buffer.readinto(v[i:n])
 def readinto(s,o):
  if s.p==s.n:
   sys.stdout.write('\\x06')
   s.fill(s.h,2);s.n=s.h[0]-{LENGTH_OFFSET};s.k=s.h[1];s.p=0
   s.fill(s.b,s.n)
  o[0]=s.b[s.p]^s.k;s.p+=1
  return 1
def copy(f,z,n):
 v=memoryview(bytearray(512))
 while n:
  i=z.readinto(v[:min(n,512)])
  if not i:break
  f.write(v[:i]);n-=i
z=deflate.DeflateIO(S(),deflate.ZLIB)
while 1:
 l=z.readline()
 if not l:break
 w,path,a=l.decode().split()
 i=path.find('/',1)
 while i>0:
  try:os.mkdir(path[:i])
  except OSError as e:
   if e.errno!=17:raise
  i=path.find('/',i+1)
 with open(path,'wb') as f:
  if w=='w':copy(f,z,int(a))
  else:
   with open(a,'rb') as g:copy(f,g,1<<30)
del z
"""

# Runs on the board: SHA-256 of files, one line each; '-' for what cannot be read.
HASH = """
import hashlib
def digest(path):
 v=memoryview(bytearray(1024));h=hashlib.sha256()
 try:
  with open(path,'rb') as f:
   while 1:
    n=f.readinto(v)
    if not n:break
    h.update(v[:n])
 except OSError:return '-'
 return ''.join('%02x'%b for b in h.digest())
for path in PATHS:print(path,digest(path))
"""

# Runs on the board: a word's size and its tables (lid.gate.weights has the layout); nothing for what cannot be read.
WORD = """
import binascii,os
try:
 with open(PATH,'rb') as f:
  h=f.read(80)
  t=f.read(((h[72]|h[73]<<8)+(h[74]|h[75]<<8)+3&-4)+8*h[18]+36*h[19])
 print(os.stat(PATH)[6],binascii.hexlify(h+t).decode())
except (OSError,IndexError):pass
"""

# Runs on the board: its MicroPython and its files, as one JSON line.
INVENTORY = """
import sys,os,json
def text(path):
 try:
  with open(path) as f:return f.read(400)
 except (OSError,ValueError):return None
def under(d):
 out=[]
 for e in os.ilistdir(d):
  p=d.rstrip('/')+'/'+e[0]
  if e[1]&0x4000:out+=under(p)
  else:out.append(p)
 return out
m=sys.implementation
tops=os.listdir('/')
s=os.statvfs('/')
print(json.dumps({'mpy':getattr(m,'_mpy',0),'version':m[1][:3],'machine':getattr(m,'_machine',''),'tops':tops,'free':s[0]*s[3],
'active':text('/active'),'main':text('/main.py'),
'files':[p for t in tops if t[:4]=='lid-' or t[:6]=='model-' for p in (under('/'+t) if t[:4]=='lid-' else ['/'+t])]}))
"""

# Runs on the board after everything is in place: the one rename, then the loaders, then old builds and models are deleted.
SWITCH_OVER = """
import os
def drop(path):
 try:
  for e in os.ilistdir(path):drop(path+'/'+e[0])
  os.rmdir(path)
 except OSError:os.remove(path)
for path in RENAMES:os.rename(path+'.deploy',path)
for t in os.listdir('/'):
 if (t[:4]=='lid-' or t[:6]=='model-') and '/'+t not in RETAINED:drop('/'+t)
"""
